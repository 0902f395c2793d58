import { join } from 'node:path';
import type { CopyId, GroupId, PointId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { daemonPaths } from './daemon-process.ts';
import { DaemonSeat } from './daemon-seat.ts';
import type { Daemon } from './daemon.ts';
import type { LongWork, LongWorkName } from './long-work.ts';
import { Mutex } from './mutex.ts';
import type { ServerPort } from './nbd-server.ts';
import type { LayerIo } from './nodes.ts';
import type { Qcow2EngineOptions } from './options.ts';
import type { Overlay } from './overlays.ts';
import type { PortBook } from './ports.ts';
import type { SendLimits } from './send-limits.ts';
import { EMPTY_RECORD, findPoint, parseRecord } from './record.ts';
import type { GroupRecord, PointRecord } from './record.ts';

/** What all groups of this site share. */
export interface Site {
  readonly options: Qcow2EngineOptions;
  readonly ports: PortBook;
  readonly limits: SendLimits;
  /** Probed once, at the first need. */
  io(): Promise<LayerIo>;
}

/** A group as this process holds it: its record, its daemon's monitor, and who works on it. */
export class Group {
  readonly id: GroupId;
  readonly site: Site;
  readonly seat: DaemonSeat;
  /** Where its layers are. */
  readonly directory: string;
  /** Sends follow each other; they hold no other lock while they copy. */
  readonly sends = new Mutex();
  readonly merges = new Mutex();
  /** Work on copies, one at a time; it comes before the group's lock. */
  readonly copies = new Mutex();
  readonly #lock = new Mutex();
  readonly #work = new Set<LongWork>();
  readonly #copySeats = new Map<CopyId, DaemonSeat>();
  #record: GroupRecord | undefined;
  #settledWith: Daemon | undefined;
  #ahead: readonly Overlay[] = [];
  #closed = false;

  constructor(site: Site, id: GroupId) {
    this.site = site;
    this.id = id;
    const { runDirectory, clock, log } = site.options;
    this.seat = new DaemonSeat(daemonPaths(runDirectory, id), clock, log, { groupId: id });
    this.directory = join(site.options.dataDirectory, 'groups', id);
  }

  /** One at a time. After a failure nothing is taken for granted: the next one looks again. */
  locked<T>(work: () => Promise<T>): Promise<T> {
    return this.#lock.run(async () => {
      try {
        return await work();
      } catch (cause) {
        this.#settledWith = undefined;
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
    return this.seat.find();
  }

  /** Whether the daemon's graph was compared with the record since it was met. */
  get isSettled(): boolean {
    return this.#settledWith !== undefined && this.#settledWith === this.seat.daemon;
  }

  set isSettled(settled: boolean) {
    this.#settledWith = settled ? this.seat.daemon : undefined;
    this.#ahead = [];
  }

  /** Overlays that are open before they are needed. Another look at the graph takes them for strays. */
  get ahead(): readonly Overlay[] {
    return this.isSettled ? this.#ahead : [];
  }

  set ahead(overlays: readonly Overlay[]) {
    this.#ahead = overlays;
  }

  /** The place of a copy's daemon. */
  copySeat(copyId: CopyId): DaemonSeat {
    const { runDirectory, clock, log } = this.site.options;
    const known = this.#copySeats.get(copyId);
    if (known) return known;
    const owner = { groupId: this.id, copyId };
    const seat = new DaemonSeat(daemonPaths(runDirectory, copyId), clock, log, owner);
    if (this.#closed) seat.close();
    this.#copySeats.set(copyId, seat);
    return seat;
  }

  /** The copy is gone. */
  leaveCopySeat(copyId: CopyId): void {
    this.#copySeats.get(copyId)?.release();
    this.#copySeats.delete(copyId);
  }

  /** For good: work that is under way fails. */
  close(): void {
    this.#closed = true;
    for (const seat of [this.seat, ...this.#copySeats.values()]) seat.close();
  }

  /** The port of its own daemon's server. Within the group's lock. */
  get serverPort(): ServerPort {
    return {
      site: this.site,
      owner: { groupId: this.id },
      current: async () => (await this.record()).port,
      keep: async (port) => void (await this.save({ ...(await this.record()), port })),
    };
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

/** @throws Refusal `point_missing` */
export function needPoint(group: Group, record: GroupRecord, pointId: PointId): PointRecord {
  return (
    findPoint(record, pointId) ?? refuse({ code: 'point_missing', groupId: group.id, pointId })
  );
}
