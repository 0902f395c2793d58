import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { openSync, readSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { askSite, ProblemAnswer, SiteUnreachable } from '../../src/cli/native-client.ts';
import type { NativeRequest, NativeSite } from '../../src/cli/native-client.ts';
import { startServer, waitForSite } from '../../src/main/pair.ts';
import { siteLogFile, sitePidFile } from '../../src/main/pair-files.ts';
import type { PairedSite } from '../../src/main/pair-files.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type {
  AttachmentAnswer,
  DataPlaneAnswer,
  FailoverPreflight,
  ForkAnswer,
  GroupAnswer,
  HostFiles,
  JobAnswer,
  Page,
  PointAnswer,
  RollbackPreflight,
  SessionAnswer,
  VolumeAnswer,
} from './native-answers.ts';
import { processesIn, signalProcess } from './site-processes.ts';

const run = promisify(execFile);
const JOB_LIMIT_MS = 60_000;
const STEP_LIMIT_MS = 20_000;
const STATE_LIMIT_MS = 30_000;
/** A story that asks a site which hangs wants to know it soon. */
const ANSWER_LIMIT_MS = 5_000;

export type Asked = Pick<NativeRequest, 'method' | 'path' | 'body'>;

/** A job that ended undone: what was asked did not happen. */
export class JobUndone extends Error {
  override readonly name = 'JobUndone';
  readonly job: JobAnswer;

  constructor(job: JobAnswer) {
    super(`${job.kind} was undone: ${job.outcome?.message ?? 'for no known reason'}`);
    this.job = job;
  }
}

/** For `assert.rejects`: a "no" with this code, at once or by the job that was started. */
export function refusal(code: string): (error: unknown) => boolean {
  return (error) => {
    if (error instanceof ProblemAnswer) assert.equal(error.reason?.code, code, error.message);
    else if (error instanceof JobUndone) assert.equal(error.job.outcome?.reason?.code, code);
    else throw error;
    return true;
  };
}

/** A real site of a story: its native API in words, and its processes by their pids. */
export class StorySite {
  readonly name: string;
  readonly address: string;
  readonly #dir: string;
  readonly #described: PairedSite;
  readonly #hosts = new Map<string, HostFiles>();
  readonly #log: GrowingFile;
  readonly #steps = new Map<string, readonly string[]>();
  #native: NativeSite;

  constructor(dir: string, described: PairedSite, native: NativeSite) {
    this.name = described.name;
    this.address = described.address;
    this.#dir = dir;
    this.#described = described;
    this.#native = native;
    this.#log = new GrowingFile(siteLogFile(dir, described.name));
  }

  // What it is asked

  /** @throws ProblemAnswer, SiteUnreachable */
  ask<Answer>(asked: Asked & { readonly timeoutMs?: number }): Promise<Answer> {
    return askSite<Answer>(this.#native, { timeoutMs: ANSWER_LIMIT_MS, ...asked });
  }

  get<Answer>(path: string): Promise<Answer> {
    return this.ask<Answer>({ method: 'GET', path });
  }

  /** Starts something long; @returns its job as it is then */
  async start(asked: Asked): Promise<JobAnswer> {
    return (await this.ask<{ job: JobAnswer }>(asked)).job;
  }

  /** Something long, from its start to its end. @throws JobUndone */
  async carryOut(asked: Asked): Promise<JobAnswer> {
    const { id } = await this.start(asked);
    const ended = await this.endOf(id);
    if (ended.state === 'undone') throw new JobUndone(ended);
    return ended;
  }

  /** The job once it has ended, either way; the site may die and come back meanwhile. */
  endOf(jobId: string): Promise<JobAnswer> {
    return waitUntil(`job ${jobId} at ${this.name} has ended`, JOB_LIMIT_MS, async () => {
      try {
        const job = await this.job(jobId);
        return job.state === 'done' || job.state === 'undone' ? job : undefined;
      } catch (error) {
        if (error instanceof SiteUnreachable) return undefined;
        throw error;
      }
    });
  }

  /** The job once it is as told; looks as often as it can, since steps are short. */
  async jobOnce(
    jobId: string,
    sentence: string,
    isSo: (job: JobAnswer) => boolean,
  ): Promise<JobAnswer> {
    const until = performance.now() + JOB_LIMIT_MS;
    for (;;) {
      const job = await this.job(jobId);
      if (isSo(job)) return job;
      if (performance.now() > until) {
        throw new Error(`job ${jobId}, not in time: ${sentence}: ${JSON.stringify(job)}`);
      }
    }
  }

  async abort(jobId: string): Promise<void> {
    await this.ask({ method: 'POST', path: `/jobs/${jobId}/abort` });
  }

  job(jobId: string): Promise<JobAnswer> {
    return this.get<JobAnswer>(`/jobs/${jobId}`);
  }

  async jobs(query = ''): Promise<readonly JobAnswer[]> {
    return (await this.get<Page<JobAnswer>>(`/jobs?limit=1000${query}`)).items;
  }

  async hostFiles(host: string): Promise<HostFiles> {
    const known = this.#hosts.get(host);
    if (known !== undefined) return known;
    const asked = { method: 'POST', path: '/hosts', body: { name: host } } as const;
    const { files } = await this.ask<{ files: HostFiles }>(asked);
    this.#hosts.set(host, files);
    return files;
  }

  async createGroup(group: string): Promise<void> {
    await this.ask({ method: 'POST', path: '/groups', body: { name: group } });
  }

  /** In a group, or alone. */
  async createVolume(name: string, sizeBytes: number, group?: string): Promise<void> {
    const body = { name, sizeBytes, ...(group !== undefined && { group }) };
    await this.carryOut({ method: 'POST', path: '/volumes', body });
  }

  async map(group: string, host: string): Promise<void> {
    await this.ask({ method: 'PUT', path: `/groups/${group}/hosts/${host}` });
  }

  async unmap(group: string, host: string): Promise<void> {
    await this.ask({ method: 'DELETE', path: `/groups/${group}/hosts/${host}` });
  }

  /** @returns when the first copy is complete */
  async protect(group: string, to: StorySite, rpoSeconds: number): Promise<SessionAnswer> {
    const body = { peer: to.name, rpoSeconds };
    await this.carryOut({ method: 'PUT', path: `/groups/${group}/session`, body });
    return this.sessionOnce(group, 'the first copy is complete', (s) => s.lastCycle !== undefined);
  }

  handOver(group: string, to: StorySite, { reverse = true } = {}): Promise<JobAnswer> {
    return this.carryOut(handover(group, to, reverse));
  }

  startHandover(group: string, to: StorySite, { reverse = true } = {}): Promise<JobAnswer> {
    return this.start(handover(group, to, reverse));
  }

  /** One cycle, to its end. */
  async synchronize(group: string): Promise<SessionAnswer> {
    await this.carryOut({ method: 'POST', path: `/groups/${group}/session/sync` });
    return this.session(group);
  }

  async changeSession(group: string, settings: object): Promise<void> {
    await this.ask({ method: 'PATCH', path: `/groups/${group}/session`, body: settings });
  }

  async command(group: string, verb: 'pause' | 'resume'): Promise<SessionAnswer> {
    return this.ask({ method: 'POST', path: `/groups/${group}/session/${verb}` });
  }

  /** @returns when replication runs from here and its first cycle is complete */
  async reprotect(group: string): Promise<SessionAnswer> {
    await this.carryOut({ method: 'POST', path: `/groups/${group}/session/reprotect` });
    return this.sessionOnce(group, 'replication runs again', (s) => s.state === 'ok');
  }

  /** As an operator does: looks at what is lost, and confirms it. */
  async failOver(
    group: string,
    point?: string,
    options: { readonly commitAfterSeconds?: number } = {},
  ): Promise<FailoverPreflight> {
    const path = `/groups/${group}/failover`;
    const body = { ...(point !== undefined && { point }), ...options };
    const { preflight } = await this.ask<{ preflight: FailoverPreflight }>({
      method: 'POST',
      path: `${path}?dryRun=true`,
      body,
    });
    const { confirmation } = preflight;
    await this.carryOut({ method: 'POST', path, body: { ...body, confirmation } });
    return preflight;
  }

  /** Starts it as an operator does: looks at what is set aside, and confirms it. */
  async startRollback(group: string): Promise<JobAnswer> {
    const path = `/groups/${group}/failover/rollback`;
    const asked = { method: 'POST', path: `${path}?dryRun=true`, body: {} } as const;
    const { preflight } = await this.ask<{ preflight: RollbackPreflight }>(asked);
    const { confirmation, blockedBy } = preflight;
    assert.deepEqual(blockedBy, []);
    return this.start({ method: 'POST', path, body: { confirmation } });
  }

  /** Hosts that are held go on alone. */
  release(group: string): Promise<SessionAnswer> {
    const path = `/groups/${group}/session/release`;
    return this.ask({ method: 'POST', path, timeoutMs: JOB_LIMIT_MS });
  }

  async forks(group: string): Promise<readonly ForkAnswer[]> {
    return (await this.get<Page<ForkAnswer>>(`/forks?group=${group}`)).items;
  }

  // What it says

  group(group: string): Promise<GroupAnswer> {
    return this.get<GroupAnswer>(`/groups/${group}`);
  }

  volume(volume: string): Promise<VolumeAnswer> {
    return this.get<VolumeAnswer>(`/volumes/${volume}`);
  }

  /** The volume once it is as told. */
  volumeOnce(
    volume: string,
    sentence: string,
    isSo: (volume: VolumeAnswer) => boolean,
  ): Promise<VolumeAnswer> {
    return waitUntil(`${volume}: ${sentence} (${this.name})`, STATE_LIMIT_MS, async () => {
      const seen = await this.volume(volume);
      return isSo(seen) ? seen : undefined;
    });
  }

  attachment(volume: string): Promise<AttachmentAnswer> {
    return this.get<AttachmentAnswer>(`/volumes/${volume}/attachment`);
  }

  session(group: string): Promise<SessionAnswer> {
    return this.get<SessionAnswer>(`/groups/${group}/session`);
  }

  /** The session once it is as told. */
  sessionOnce(
    group: string,
    sentence: string,
    isSo: (session: SessionAnswer) => boolean,
    limitMs = STATE_LIMIT_MS,
  ): Promise<SessionAnswer> {
    let last: SessionAnswer | undefined;
    return waitUntil(`${sentence} (${this.name})`, limitMs, async () => {
      last = await this.session(group);
      return isSo(last) ? last : undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; last seen: ${JSON.stringify(last)}`, { cause: error });
    });
  }

  async roleOf(group: string): Promise<'source' | 'destination'> {
    return (await this.session(group)).role;
  }

  dataPlane(group: string): Promise<DataPlaneAnswer> {
    return this.get<DataPlaneAnswer>(`/groups/${group}/data-plane`);
  }

  /** What is true of the data plane once it is as told. */
  dataPlaneOnce(
    group: string,
    sentence: string,
    isSo: (dataPlane: DataPlaneAnswer) => boolean,
  ): Promise<DataPlaneAnswer> {
    return waitUntil(`${sentence} (${group} at ${this.name})`, STATE_LIMIT_MS, async () => {
      const path = `/groups/${group}/data-plane`;
      const seen = await this.ask<DataPlaneAnswer>({
        method: 'GET',
        path,
        timeoutMs: JOB_LIMIT_MS,
      });
      return isSo(seen) ? seen : undefined;
    });
  }

  /** Oldest first. */
  async points(group: string): Promise<readonly PointAnswer[]> {
    return (await this.get<Page<PointAnswer>>(`/groups/${group}/points`)).items;
  }

  /** Of each volume of a point. */
  async hashes(group: string, pointId: string): Promise<Readonly<Record<string, string>>> {
    const { volumes } = await this.ask<{
      volumes: readonly { readonly volumeId: string; readonly hash: string }[];
    }>({
      method: 'POST',
      path: `/groups/${group}/points/${pointId}/hash`,
      timeoutMs: JOB_LIMIT_MS,
    });
    return Object.fromEntries(volumes.map((v) => [v.volumeId, v.hash]));
  }

  /**
   * Returns as soon as a step of a job is recorded, which its log tells at once: steps are so short
   * that asking would miss them.
   */
  async stepDone(jobId: string, step: string): Promise<void> {
    const until = performance.now() + STEP_LIMIT_MS;
    while (!this.stepsDone(jobId).includes(step)) {
      if (performance.now() > until) throw new Error(`job ${jobId} has not done ${step} in time`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The recorded steps of a job in their order; also while the site is dead. */
  stepsDone(jobId: string): readonly string[] {
    const lines = this.#log.newLines().filter((l) => l.includes('"saga_step_done"'));
    for (const line of lines) {
      const { sagaId, step } = JSON.parse(line) as { sagaId: string; step: string };
      this.#steps.set(sagaId, [...(this.#steps.get(sagaId) ?? []), step]);
    }
    return this.#steps.get(jobId) ?? [];
  }

  // Its processes

  async controlPid(): Promise<number> {
    const pid = Number(await readFile(sitePidFile(this.#dir, this.name), 'utf8'));
    assert.ok(Number.isSafeInteger(pid) && pid > 1);
    return pid;
  }

  async signalControl(signal: NodeJS.Signals): Promise<void> {
    await signalProcess(await this.controlPid(), signal);
  }

  killControl(): Promise<void> {
    return this.signalControl('SIGKILL');
  }

  /** @returns when it answers */
  async startControl(): Promise<void> {
    const started = await startServer(this.#dir, this.#described);
    this.#native = await waitForSite(this.#dir, this.#described, started);
  }

  async daemonPid(group: string): Promise<number> {
    const { pid } = await this.dataPlane(group);
    assert.ok(pid !== undefined, `a data plane of ${group} runs at ${this.name}`);
    return pid;
  }

  /** Every process that is a daemon of the group at this site: one, if all is well. */
  async daemonPids(group: string): Promise<readonly number[]> {
    const { id } = await this.group(group);
    const found = processesIn(join(this.#dir, this.name));
    return found
      .filter((p) => p.commandLine.startsWith('qemu-storage-daemon ') && p.commandLine.includes(id))
      .map(({ pid }) => pid);
  }

  async signalDaemon(group: string, signal: NodeJS.Signals): Promise<void> {
    await signalProcess(await this.daemonPid(group), signal);
  }

  killDaemon(group: string): Promise<void> {
    return this.signalDaemon(group, 'SIGKILL');
  }

  // Its link

  /** Closes the connections by which it receives the group. @returns how many */
  async cutLinkInto(group: string): Promise<number> {
    const { address } = await this.dataPlane(group);
    assert.ok(address, `${group} has an address at ${this.name}`);
    const filter = ['dst', address.host, 'dport', '=', `${address.port}`];
    const { stdout } = await run('ss', ['-HtnK', ...filter]);
    return stdout.split('\n').filter((line) => line !== '').length;
  }
}

function handover(group: string, to: StorySite, reverse: boolean): Asked {
  const body = { to: to.name, reverse };
  return { method: 'POST', path: `/groups/${group}/handover`, body };
}

/** Where a site keeps the bytes of a group. */
export function groupDirectory(dir: string, site: string, { id }: Pick<GroupAnswer, 'id'>): string {
  return join(dir, site, 'data', 'volumes', 'groups', id);
}

/** A file that others append whole lines to. */
class GrowingFile {
  readonly #file: number;
  #at = 0;
  #rest = '';

  constructor(path: string) {
    this.#file = openSync(path, 'r');
  }

  /** Those that came since the last call. */
  newLines(): readonly string[] {
    const buffer = Buffer.alloc(64 * 1024);
    for (;;) {
      const length = readSync(this.#file, buffer, 0, buffer.length, this.#at);
      if (length === 0) break;
      this.#at += length;
      this.#rest += buffer.toString('latin1', 0, length);
    }
    const lines = this.#rest.split('\n');
    this.#rest = lines.pop() ?? '';
    return lines;
  }
}
