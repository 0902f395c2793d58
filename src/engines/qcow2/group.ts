import { join } from 'node:path';
import type { GroupId, PointId } from '../../domain/ids.ts';
import { Failure, refuse } from '../../domain/refusal.ts';
import { QmpClosed } from '../qmp/errors.ts';
import { daemonPaths } from './daemon-process.ts';
import { ANSWER_LIMIT_MS, findDaemon, startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import type { DaemonPaths } from './daemon-process.ts';
import type { LongWork, LongWorkName } from './long-work.ts';
import { Mutex } from './mutex.ts';
import type { LayerIo } from './nodes.ts';
import type { Qcow2EngineOptions } from './options.ts';
import type { PortBook } from './ports.ts';
import { EMPTY_RECORD, findPoint, parseRecord } from './record.ts';
import type { GroupRecord, PointRecord } from './record.ts';

/** What all groups of this site share. */
export interface Site {
  readonly options: Qcow2EngineOptions;
  readonly ports: PortBook;
  /** Probed once, at the first need. */
  io(): Promise<LayerIo>;
}

/** A group as this process holds it: its record, its daemon's monitor, and who works on it. */
export class Group {
  readonly id: GroupId;
  readonly site: Site;
  readonly paths: DaemonPaths;
  /** Where its layers are. */
  readonly directory: string;
  /** Sends follow each other; they hold no other lock while they copy. */
  readonly sends = new Mutex();
  readonly merges = new Mutex();
  readonly #lock = new Mutex();
  readonly #work = new Set<LongWork>();
  #record: GroupRecord | undefined;
  #daemon: Daemon | undefined;
  #finding: Promise<Daemon | undefined> | undefined;
  #settled = false;
  #closed = false;

  constructor(site: Site, id: GroupId) {
    this.site = site;
    this.id = id;
    this.paths = daemonPaths(site.options.runDirectory, id);
    this.directory = join(site.options.dataDirectory, 'groups', id);
  }

  /** One at a time. After a failure nothing is taken for granted: the next one looks again. */
  locked<T>(work: () => Promise<T>): Promise<T> {
    return this.#lock.run(async () => {
      try {
        return await work();
      } catch (cause) {
        this.#settled = false;
        throw cause;
      }
    });
  }

  async isKnown(): Promise<boolean> {
    return (await this.site.options.records.read(this.id)) !== undefined;
  }

  async record(): Promise<GroupRecord> {
    this.#record ??=
      parseRecord(this.id, await this.site.options.records.read(this.id)) ?? EMPTY_RECORD;
    return this.#record;
  }

  /** @returns the same record, now durable */
  async save(record: GroupRecord): Promise<GroupRecord> {
    this.#record = undefined;
    await this.site.options.records.write(this.id, record);
    this.#record = record;
    return record;
  }

  /** For what need not be durable by itself: it goes to disk with the next `save`. */
  remember(record: GroupRecord): GroupRecord {
    this.#record = record;
    return record;
  }

  async forget(): Promise<void> {
    this.#record = undefined;
    await this.site.options.records.remove(this.id);
  }

  /** The daemon, if it runs. @throws DaemonHung */
  findDaemon(): Promise<Daemon | undefined> {
    // Whoever asks at the same time shares the answer: a monitor takes one client.
    this.#finding ??= this.#find().finally(() => (this.#finding = undefined));
    return this.#finding;
  }

  async #find(): Promise<Daemon | undefined> {
    this.#checkOpen();
    if (this.#daemon && (await answers(this.#daemon))) return this.#daemon;
    this.#settled = false;
    const found = await findDaemon(this.paths);
    if (this.#closed) found?.qmp.close();
    this.#checkOpen();
    this.#daemon = found;
    return found;
  }

  async startDaemon(): Promise<Daemon> {
    this.#checkOpen();
    const { clock, log } = this.site.options;
    const daemon = await startDaemon(this.paths, clock, () => this.findDaemon());
    const { instance, pid } = daemon;
    log?.info({ event: 'daemon_started', groupId: this.id, instance, pid });
    return daemon;
  }

  /** Whether the daemon's graph was compared with the record since it was met. */
  get isSettled(): boolean {
    return this.#settled;
  }

  set isSettled(settled: boolean) {
    this.#settled = settled;
  }

  /** Lets go of the daemon, which goes on. */
  release(): void {
    this.#daemon?.qmp.close();
    this.#daemon = undefined;
    this.#settled = false;
  }

  /** For good: work that is under way fails. */
  close(): void {
    this.#closed = true;
    this.release();
  }

  #checkOpen(): void {
    if (this.#closed) throw new Failure(`group ${this.id}: the engine was closed`);
  }

  path(file: string): string {
    return join(this.directory, file);
  }

  /** Within the group's lock. The work is known from now until its `end`. */
  begin(work: LongWork): void {
    this.#work.add(work);
  }

  end(work: LongWork): void {
    this.#work.delete(work);
    work.close();
  }

  /** Which kinds of long work are under way. */
  get working(): ReadonlySet<LongWorkName> {
    return new Set([...this.#work].map(({ name }) => name));
  }

  /** As `locked`, with none of these kinds of long work under way: what is, is ended first. */
  async alone<T>(names: readonly LongWorkName[], work: () => Promise<T>): Promise<T> {
    for (;;) {
      const found = [...this.#work].filter(({ name }) => names.includes(name));
      await Promise.all(found.map((one) => one.interrupt()));
      const result = await this.locked(async () => {
        const isFree = !names.some((name) => this.working.has(name));
        return isFree ? { value: await work() } : undefined;
      });
      if (result) return result.value;
    }
  }
}

/** Its end may not have reached us yet. @throws QmpTimeout */
async function answers({ qmp }: Daemon): Promise<boolean> {
  if (qmp.phase !== 'running') return false;
  try {
    await qmp.execute('query-version', {}, ANSWER_LIMIT_MS);
    return true;
  } catch (cause) {
    if (cause instanceof QmpClosed) return false;
    throw cause;
  }
}

/** @throws Refusal `point_missing` */
export function needPoint(group: Group, record: GroupRecord, pointId: PointId): PointRecord {
  return (
    findPoint(record, pointId) ?? refuse({ code: 'point_missing', groupId: group.id, pointId })
  );
}
