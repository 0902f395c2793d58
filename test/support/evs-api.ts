/** Two paired sites with the OpenStack dialect, as its clients call it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import Fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { evsDialect } from '../../src/dialects/evs/evs.ts';
import { evsIdentity } from '../../src/dialects/evs/identity.ts';
import { PROJECT_ID } from '../../src/dialects/evs/ids.ts';
import { serverOptions } from '../../src/dialects/evs/server-options.ts';
import type { Role } from '../../src/domain/user.ts';
import { memoryPair } from './memory-site.ts';
import type { MemoryPair, MemorySite } from './memory-site.ts';

export const PASSWORD = 'correct horse';

type Json = Readonly<Record<string, unknown>>;

export interface EvsAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number | string[] | undefined>>;
  readonly body: Json;
  readonly text: string;
}

export interface EvsRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface EvsApi {
  readonly site: MemorySite;
  readonly http: FastifyInstance;
  readonly tokenOf: (role: Role) => Promise<string>;
  /** Of the volume service, with the path as it is. */
  readonly ask: (request: EvsRequest) => Promise<EvsAnswer>;
  readonly identity: (request: EvsRequest) => Promise<EvsAnswer>;
  /** As the administrator, below the project of version 2. */
  readonly call: (method: string, path: string, body?: unknown) => Promise<EvsAnswer>;
}

export async function evsApi(t: Pick<TestContext, 'after'>, site: MemorySite): Promise<EvsApi> {
  const urls = { identity: 'https://127.0.0.1:5000/v3', evs: 'https://127.0.0.1:8776' };
  const options = { app: site.app, log: site.ports.log, urls };
  const http = Fastify(serverOptions);
  await http.register(evsDialect, options);
  const keystone = Fastify(serverOptions);
  await keystone.register(evsIdentity, options);
  t.after(() => http.close());
  t.after(() => keystone.close());
  const tokens = new Map<Role, string>();
  const tokenOf = async (role: Role): Promise<string> => {
    const known = tokens.get(role);
    if (known !== undefined) return known;
    const users = await site.app.listUsers();
    if (!users.some(({ name }) => name === role)) {
      await site.app.createUser({ name: role, password: PASSWORD, role });
    }
    const { token } = await site.app.signIn({ name: role, password: PASSWORD });
    tokens.set(role, token);
    return token;
  };
  const token = await tokenOf('administrator');
  const ask = (request: EvsRequest): Promise<EvsAnswer> => inject(http, { token, ...request });
  return {
    site,
    http,
    tokenOf,
    ask,
    identity: (request) => inject(keystone, request),
    call: (method, path, body) => ask({ method, path: `/v2/${PROJECT_ID}${path}`, body }),
  };
}

async function inject(
  http: FastifyInstance,
  { method, path, body, token, headers }: EvsRequest,
): Promise<EvsAnswer> {
  const answer = await http.inject({
    method: method as 'GET',
    url: path,
    headers: { ...(token !== undefined && { 'x-auth-token': token }), ...headers },
    ...(body !== undefined && { payload: body as object }),
  });
  const isJson = String(answer.headers['content-type']).includes('json');
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: isJson && answer.body !== '' ? answer.json<Json>() : {},
    text: answer.body,
  };
}

export interface EvsPair extends MemoryPair {
  readonly here: EvsApi;
  readonly there: EvsApi;
}

/** `here` is Paris. */
export async function evsPair(t: Pick<TestContext, 'after'>): Promise<EvsPair> {
  const pair = await memoryPair(t);
  return { ...pair, here: await evsApi(t, pair.paris), there: await evsApi(t, pair.lyon) };
}

export const PAIRS = '/os-vendor-replications';
export const GROUPS = '/os-vendor-replication-consistency-groups';

/** The object that an answer is about. */
export function member(answer: EvsAnswer, status: number): Json {
  assert.equal(answer.status, status, answer.text);
  const [value] = Object.values(answer.body);
  return value as Json;
}

/** A disk in a zone, once it is there. */
export async function makeDisk(api: EvsApi, name: string, zone: string): Promise<string> {
  const body = { volume: { name, size: 1, availability_zone: zone } };
  const { id } = member(await api.call('POST', '/volumes', body), 202);
  await until(async () => {
    const disk = member(await api.call('GET', `/volumes/${String(id)}`), 200);
    return disk['status'] === 'available';
  });
  return String(id);
}

/** Two disks, `data` in Paris and `data-dr` in Lyon, as a pair. */
export async function makePair(api: EvsApi, name = 'data'): Promise<string> {
  const ids = [await makeDisk(api, name, 'paris'), await makeDisk(api, `${name}-dr`, 'lyon')];
  const body = {
    replication: {
      name: `${name} pair`,
      volume_ids: ids,
      priority_station: 'paris',
      replication_model: 'hypermetro',
    },
  };
  return String(member(await api.call('POST', PAIRS, body), 202)['id']);
}

/** A group of one pair, once it is available. */
export async function makeGroup(api: EvsApi, name = 'orders'): Promise<string> {
  const body = {
    replication_consistency_group: {
      name,
      description: 'what is sold',
      replication_ids: [await makePair(api, `${name}-data`)],
      priority_station: 'paris',
      replication_model: 'hypermetro',
    },
  };
  const { id } = member(await api.call('POST', GROUPS, body), 202);
  await groupIs(api, String(id), { status: 'available' });
  return String(id);
}

/** One action, as the known Go client sends it. */
export function act(api: EvsApi, id: string, verb: string): Promise<EvsAnswer> {
  const body = { [`os-${verb}-replication-consistency-group`]: null };
  return api.call('POST', `${GROUPS}/${id}/action`, body);
}

/** Polls as clients do, until the group has these values. */
export async function groupIs(
  api: EvsApi,
  id: string,
  wanted: Readonly<Record<string, string>>,
): Promise<Json> {
  let last: Json = {};
  await until(
    async () => {
      last = member(await api.call('GET', `${GROUPS}/${id}`), 200);
      return Object.entries(wanted).every(([name, value]) => last[name] === value);
    },
    () => `wanted ${JSON.stringify(wanted)}, last ${JSON.stringify(last)}`,
  );
  return last;
}

const LIMIT_MS = 20_000;

export async function until(
  holds: () => Promise<boolean>,
  words: () => string = () => 'it did not come to be',
): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(words());
    await new Promise((next) => setImmediate(next));
  }
}
