/** The replication extension over plain HTTP, in the shapes that the known Go client sends. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { needPair } from '../../../src/main/pair-files.ts';
import type { PairedSite } from '../../../src/main/pair-files.ts';
import { waitUntil } from '../../../src/main/wait-until.ts';

type Json = Readonly<Record<string, unknown>>;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

const LIMIT_MS = 60_000;
const GROUPS = 'os-vendor-replication-consistency-groups';
const PAIRS = 'os-vendor-replications';

/** What `baton pair up` said of a site. */
export function describedSite(dir: string, name: string): PairedSite {
  const site = needPair(dir).sites.find((s) => s.name === name);
  assert.ok(site);
  return site;
}

/** One endpoint, signed in. */
export class ExtensionClient {
  readonly #site: PairedSite;
  readonly #endpoint: string;
  readonly #token: string;

  private constructor(site: PairedSite, endpoint: string, token: string) {
    this.#site = site;
    this.#endpoint = endpoint;
    this.#token = token;
  }

  /** As the SDK does: a token of the identity service, and the catalog's `volumev2`. */
  static async signIn(site: PairedSite): Promise<ExtensionClient> {
    const user = { name: site.username, password: site.password, domain: { name: 'Default' } };
    const scope = { project: { id: site.projectId } };
    const identity = { methods: ['password'], password: { user } };
    const body = { auth: { identity, scope } };
    const answer = await send(site, 'POST', `${site.identity}/auth/tokens`, { body });
    assert.equal(answer.status, 201, answer.text);
    const { token } = JSON.parse(answer.text) as {
      token: { catalog: { type: string; endpoints: { interface: string; url: string }[] }[] };
    };
    const service = token.catalog.filter(({ type }) => type === 'volumev2');
    const urls = service.flatMap((s) => s.endpoints.filter((e) => e.interface === 'public'));
    assert.equal(urls.length, 1, 'the SDK takes exactly one');
    return new ExtensionClient(
      site,
      String(urls[0]?.url),
      String(answer.headers['x-subject-token']),
    );
  }

  ask(method: string, path: string, body?: unknown): Promise<HttpAnswer> {
    return send(this.#site, method, `${this.#endpoint}/${path}`, { body, token: this.#token });
  }

  async createDisk(name: string, zone: string): Promise<string> {
    const volume = { name, size: 1, availability_zone: zone };
    const { id } = await this.#one('POST', 'volumes', 202, { volume });
    await this.#until(`volumes/${String(id)}`, { status: 'available' });
    return String(id);
  }

  async createPair(diskIds: readonly string[], station: string): Promise<string> {
    const replication = {
      name: 'a pair',
      volume_ids: diskIds,
      priority_station: station,
      replication_model: 'hypermetro',
    };
    const { id } = await this.#one('POST', PAIRS, 202, { replication });
    await this.#until(`${PAIRS}/${String(id)}`, { status: 'available' });
    return String(id);
  }

  async createGroup(name: string, pairIds: readonly string[], station: string): Promise<string> {
    const group = {
      name,
      replication_ids: pairIds,
      priority_station: station,
      replication_model: 'hypermetro',
    };
    const { id } = await this.#one('POST', GROUPS, 202, { replication_consistency_group: group });
    await this.groupIs(String(id), { status: 'available' });
    return String(id);
  }

  act(groupId: string, verb: string): Promise<HttpAnswer> {
    const body = { [`os-${verb}-replication-consistency-group`]: null };
    return this.ask('POST', `${GROUPS}/${groupId}/action`, body);
  }

  /** The action is accepted as the SDK wants it: 200, whatever the body. */
  async done(groupId: string, verb: string): Promise<void> {
    const answer = await this.act(groupId, verb);
    assert.equal(answer.status, 200, `${verb}: ${answer.text}`);
  }

  groupIs(groupId: string, wanted: Readonly<Record<string, string>>): Promise<Json> {
    return this.#until(`${GROUPS}/${groupId}`, wanted);
  }

  pairIs(pairId: string, wanted: Readonly<Record<string, string>>): Promise<Json> {
    return this.#until(`${PAIRS}/${pairId}`, wanted);
  }

  async gone(path: string): Promise<void> {
    await waitUntil(`${path} is gone`, LIMIT_MS, async () =>
      (await this.ask('GET', path)).status === 404 ? true : undefined,
    );
  }

  /** All that is shown of pairs, groups and disks, without what passes by itself. */
  async picture(): Promise<string> {
    const lists = [];
    for (const path of [PAIRS, GROUPS, 'volumes/detail']) {
      const { text } = await this.ask('GET', path);
      lists.push(text.replaceAll(/"(updated_at|progress)":("[^"]*"|null)/g, ''));
    }
    return lists.join('\n');
  }

  async #one(method: string, path: string, status: number, body: unknown): Promise<Json> {
    const answer = await this.ask(method, path, body);
    assert.equal(answer.status, status, answer.text);
    return memberOf(answer);
  }

  async #until(path: string, wanted: Readonly<Record<string, string>>): Promise<Json> {
    let last = '';
    return waitUntil(`${path} is ${JSON.stringify(wanted)}`, LIMIT_MS, async () => {
      const answer = await this.ask('GET', path);
      last = answer.text;
      assert.equal(answer.status, 200, answer.text);
      const seen = memberOf(answer);
      return Object.entries(wanted).every(([k, v]) => seen[k] === v) ? seen : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; last ${last}`, { cause: error });
    });
  }
}

function memberOf({ text }: HttpAnswer): Json {
  const [member] = Object.values(JSON.parse(text) as Json);
  return member as Json;
}

function send(
  { caFile }: PairedSite,
  method: string,
  url: string,
  { body, token }: { readonly body?: unknown; readonly token?: string },
): Promise<HttpAnswer> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    ...(token !== undefined && { 'x-auth-token': token }),
    ...(payload !== undefined && { 'content-type': 'application/json' }),
    accept: 'application/json',
  };
  return new Promise((resolve, reject) => {
    const call = request(url, { method, headers, ca: readFileSync(caFile) }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text });
      });
    });
    call.on('error', reject);
    call.end(payload);
  });
}
