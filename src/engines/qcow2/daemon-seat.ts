import { Failure } from '../../domain/refusal.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Log } from '../../ports/log.ts';
import { QmpClosed, QmpTimeout } from '../qmp/errors.ts';
import type { DaemonPaths } from './daemon-process.ts';
import {
  ANSWER_LIMIT_MS,
  DaemonHung,
  findDaemon,
  killDaemon,
  quitDaemon,
  startDaemon,
} from './daemon.ts';
import type { Daemon } from './daemon.ts';

/** Says in the log whose daemon it is. */
type Owner = { readonly groupId: string; readonly copyId?: string };

/** The place of one daemon: at most one process, and of this process one connection to it. */
export class DaemonSeat {
  readonly paths: DaemonPaths;
  readonly #clock: Clock;
  readonly #log: Log | undefined;
  readonly #owner: Owner;
  #daemon: Daemon | undefined;
  #finding: Promise<Daemon | undefined> | undefined;
  #closed = false;

  constructor(paths: DaemonPaths, clock: Clock, log: Log | undefined, owner: Owner) {
    this.paths = paths;
    this.#clock = clock;
    this.#log = log;
    this.#owner = owner;
  }

  /** The one that answered last; another object when it was met anew. */
  get daemon(): Daemon | undefined {
    return this.#daemon;
  }

  /** The daemon, if it runs. @throws DaemonHung, QmpTimeout */
  find(): Promise<Daemon | undefined> {
    // Whoever asks at the same time shares the answer: a monitor takes one client.
    this.#finding ??= this.#find().finally(() => (this.#finding = undefined));
    return this.#finding;
  }

  async #find(): Promise<Daemon | undefined> {
    this.#checkOpen();
    if (this.#daemon && (await answers(this.#daemon))) return this.#daemon;
    this.#daemon = undefined;
    const found = await findDaemon(this.paths);
    if (this.#closed) found?.qmp.close();
    this.#checkOpen();
    this.#daemon = found;
    return found;
  }

  async start(): Promise<Daemon> {
    this.#checkOpen();
    const daemon = await startDaemon(this.paths, this.#clock, () => this.find());
    const { instance, pid } = daemon;
    this.#log?.info({ event: 'daemon_started', ...this.#owner, instance, pid });
    return daemon;
  }

  /**
   * Ends the daemon: in an orderly way if it answers, else by force.
   *
   * @param before frees it of what it would wait for
   */
  async end(before: (daemon: Daemon) => Promise<void> = () => Promise.resolve()): Promise<void> {
    try {
      const daemon = await this.find();
      if (!daemon) return;
      await before(daemon);
      await quitDaemon(this.paths, daemon, this.#clock);
    } catch (cause) {
      if (!(cause instanceof DaemonHung || cause instanceof QmpTimeout)) throw cause;
      this.#log?.error({ event: 'daemon_killed', ...this.#owner, why: cause.message });
      await killDaemon(this.paths, this.#clock);
    } finally {
      this.release();
    }
  }

  /** Lets go of the daemon, which goes on. */
  release(): void {
    this.#daemon?.qmp.close();
    this.#daemon = undefined;
  }

  /** For good: work that is under way fails. */
  close(): void {
    this.#closed = true;
    this.release();
  }

  #checkOpen(): void {
    if (this.#closed) throw new Failure(`group ${this.#owner.groupId}: the engine was closed`);
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
