/** Two sites of Baton on this machine, driven through their native API as any client does. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { askSite } from '../../src/cli/native-client.ts';
import type { NativeRequest, NativeSite } from '../../src/cli/native-client.ts';
import { pairDown, pairUp, signedIn } from '../../src/main/pair.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import { tlsTarget } from '../load/fio.ts';
import type { FioTarget } from '../load/fio.ts';
import type { Attachment, GroupAnswer, Job, SessionAnswer } from './answers.ts';
import { jobsInDaemon } from './data-plane.ts';

export const HOST = 'bench-host';
export const ONE_DAY_SECONDS = 24 * 60 * 60;

const JOB_WAIT_SECONDS = 60;
const JOB_LIMIT_MS = 60 * 60_000;
/** Nothing changed for so long: longer than any loop of a site rests. */
const QUIET_MS = 3_000;
const LOOK_MS = 250;
const QUIET_LIMIT_MS = 15 * 60_000;

export interface BatonSite extends NativeSite {
  readonly name: string;
  readonly directory: string;
  /** Of the host's certificate that this site issued. */
  readonly credentialsDirectory: string;
}

export class BatonPair {
  readonly a: BatonSite;
  readonly b: BatonSite;
  readonly #directory: string;

  private constructor(directory: string, a: BatonSite, b: BatonSite) {
    this.#directory = directory;
    this.a = a;
    this.b = b;
  }

  static async start(directory: string): Promise<BatonPair> {
    const described = await pairUp({ dir: directory });
    const [a, b] = await Promise.all(
      described.sites.map(async (site): Promise<BatonSite> => {
        const home = join(directory, site.name);
        const credentialsDirectory = join(home, 'host');
        const signed = { ...(await signedIn(site)), name: site.name, directory: home };
        await issueHost(signed, credentialsDirectory);
        return { ...signed, credentialsDirectory };
      }),
    );
    if (a === undefined || b === undefined) throw new Error('a pair has two sites');
    return new BatonPair(directory, a, b);
  }

  /** @returns the group's id */
  async createGroup(name: string, volumes: readonly string[], sizeBytes: number): Promise<string> {
    const { id } = await askSite<GroupAnswer>(this.a, post('/groups', { name }));
    for (const volume of volumes)
      await this.job(this.a, post('/volumes', { name: volume, sizeBytes, group: name }));
    await askSite(this.a, { method: 'PUT', path: `/groups/${name}/hosts/${HOST}` });
    return id;
  }

  /** Of a protected one, at both sites. */
  async deleteGroup(name: string, volumes: readonly string[]): Promise<void> {
    const remove = (path: string): Promise<Job> => this.job(this.a, { method: 'DELETE', path });
    const session = `/groups/${name}/session`;
    const seen = post(`${session}/preflight`, { discardCopy: true });
    const { confirmation } = await askSite<{ readonly confirmation: string }>(this.a, seen);
    await remove(`${session}?discardCopy=true&confirmation=${confirmation}`);
    for (const volume of volumes) await remove(`/volumes/${volume}`);
    await remove(`/groups/${name}`);
  }

  /** Where a host writes a volume that this site holds. */
  async target(volume: string, site = this.a): Promise<FioTarget> {
    const path = `/volumes/${volume}/attachment`;
    const { host, port, exportName } = await askSite<Attachment>(site, { method: 'GET', path });
    if (host === undefined || port === undefined) throw new Error(`${volume} is not served`);
    const { credentialsDirectory } = site;
    // Beside the pair, which is root's alone.
    const home = `${this.#directory}-fio-${site.name}-${volume}`;
    return tlsTarget({ host, port, exportName, credentialsDirectory, home });
  }

  /** Begins to replicate, and returns when the first copy is complete at B. */
  async protect(group: string, rpoSeconds: number): Promise<SessionAnswer> {
    const body = { peer: this.b.name, rpoSeconds };
    await this.job(this.a, { method: 'PUT', path: `/groups/${group}/session`, body });
    return waitUntil('the first copy is complete', JOB_LIMIT_MS, async () => {
      const seen = await this.session(group);
      return seen.state === 'ok' && seen.lastCycle !== undefined ? seen : undefined;
    });
  }

  session(group: string, site = this.a): Promise<SessionAnswer> {
    return askSite<SessionAnswer>(site, { method: 'GET', path: `/groups/${group}/session` });
  }

  async changeRpo(group: string, rpoSeconds: number): Promise<void> {
    const path = `/groups/${group}/session`;
    await askSite(this.a, { method: 'PATCH', path, body: { rpoSeconds } });
  }

  /** From now on each write is at both sites before the host is answered. */
  async makeSynchronous(group: string): Promise<void> {
    const path = `/groups/${group}/session`;
    await askSite(this.a, { method: 'PATCH', path, body: { mode: 'sync' } });
    await this.becomes(group, 'in_sync');
  }

  /** The process that has the group at that site stands still. @returns lets it go on */
  async stopDaemon(site: BatonSite, group: string): Promise<() => void> {
    const path = `/groups/${group}/data-plane`;
    const { pid } = await askSite<{ readonly pid?: number }>(site, { method: 'GET', path });
    if (pid === undefined) throw new Error(`${group} has no data plane at ${site.name}`);
    process.kill(pid, 'SIGSTOP');
    return () => process.kill(pid, 'SIGCONT');
  }

  async becomes(group: string, condition: string, site = this.a): Promise<void> {
    await waitUntil(`${group} is ${condition}`, JOB_LIMIT_MS, async () => {
      const { sync } = await this.session(group, site);
      return sync?.condition === condition ? true : undefined;
    });
  }

  /** Its session may be moved. */
  async isWell(group: string, site: BatonSite): Promise<void> {
    await waitUntil(`the session of ${group} is ok`, JOB_LIMIT_MS, async () =>
      ['ok', 'synchronizing'].includes((await this.session(group, site)).state) ? true : undefined,
    );
  }

  /** One cycle, now. */
  sync(group: string): Promise<Job> {
    return this.job(this.a, post(`/groups/${group}/session/sync`));
  }

  /** Asks for something long, and waits for its good end. */
  async job(site: BatonSite, asked: NativeRequest): Promise<Job> {
    const patient = { ...asked, timeoutMs: (JOB_WAIT_SECONDS + 30) * 1000 };
    const wait = `wait=${JOB_WAIT_SECONDS}`;
    const path = `${asked.path}${asked.path.includes('?') ? '&' : '?'}${wait}`;
    const answer = await askSite<{ readonly job: Job }>(site, { ...patient, path });
    let { job } = answer;
    while (job.state === 'running' || job.state === 'undoing') {
      const look = { method: 'GET', path: `/jobs/${job.id}?${wait}` } as const;
      job = await askSite<Job>(site, { ...look, timeoutMs: patient.timeoutMs });
    }
    if (job.state === 'done') return job;
    throw new Error(`${asked.path}: ${job.outcome?.message ?? 'undone'}`);
  }

  /** Until no cycle runs, no layers are merged, and nothing has changed for a while. */
  async quiet(groupId: string): Promise<void> {
    let before = '';
    let sinceMs = performance.now();
    const untilMs = sinceMs + QUIET_LIMIT_MS;
    while (performance.now() - sinceMs < QUIET_MS) {
      const looks = await Promise.all([this.a, this.b].map((site) => lookAt(site, groupId)));
      const seen = JSON.stringify(looks);
      if (seen !== before || looks.some(({ busy }) => busy)) sinceMs = performance.now();
      before = seen;
      if (performance.now() > untilMs) throw new Error(`group ${groupId} is never quiet: ${seen}`);
      await delay(LOOK_MS);
    }
  }

  /** Whether the newest common point is the same, byte for byte, at both sites. */
  async isEqual(group: string): Promise<boolean> {
    const { newestPoint } = await this.session(group);
    const path = `/groups/${group}/points/${newestPoint?.id ?? ''}/hash`;
    const hashes = await Promise.all(
      [this.a, this.b].map((site) =>
        askSite<{ readonly volumes: readonly { readonly hash: string }[] }>(site, {
          ...post(path),
          timeoutMs: JOB_LIMIT_MS,
        }),
      ),
    );
    const [here, there] = hashes.map((answer) => JSON.stringify(answer.volumes));
    return here !== undefined && here === there;
  }

  close(): Promise<void> {
    return pairDown(this.#directory);
  }
}

export function post(path: string, body?: unknown): NativeRequest {
  return { method: 'POST', path, ...(body !== undefined && { body }) };
}

async function issueHost(site: NativeSite, directory: string): Promise<void> {
  const { files } = await askSite<{ readonly files: Readonly<Record<string, string>> }>(
    site,
    post('/hosts', { name: HOST }),
  );
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const [name, content] of Object.entries(files))
    await writeFile(join(directory, name), content, { mode: 0o600 });
}

async function lookAt(
  site: BatonSite,
  groupId: string,
): Promise<{
  readonly points: number;
  readonly layers: readonly number[];
  readonly busy: boolean;
}> {
  const get = <T>(path: string): Promise<T> => askSite<T>(site, { method: 'GET', path });
  const points = await get<{ readonly total: number }>(`/groups/${groupId}/points`);
  const plane = await get<{ readonly volumes: readonly { readonly layers: number }[] }>(
    `/groups/${groupId}/data-plane`,
  );
  const jobs = await jobsInDaemon(site, groupId);
  const layers = plane.volumes.map((volume) => volume.layers);
  return { points: points.total, layers, busy: jobs.length > 0 };
}

/** The credentials that a host of this site attaches with, as an NBD client of ours takes them. */
export async function hostCredentials({ credentialsDirectory }: BatonSite): Promise<{
  readonly trusted: string;
  readonly certificate: string;
  readonly privateKey: string;
}> {
  const read = (name: string): Promise<string> =>
    readFile(join(credentialsDirectory, name), 'utf8');
  const [trusted, certificate, privateKey] = await Promise.all([
    read('ca-cert.pem'),
    read('client-cert.pem'),
    read('client-key.pem'),
  ]);
  return { trusted, certificate, privateKey };
}
