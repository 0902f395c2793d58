/** A group's daemon, as it answers on one of its two monitors. It outlives this process. */
import { Failure } from '../../domain/refusal.ts';
import type { Clock } from '../../ports/clock.ts';
import { QmpClient } from '../qmp/client.ts';
import { QmpClosed, QmpTimeout } from '../qmp/errors.ts';
import { queryObjects } from '../qmp/queries.ts';
import {
  INSTANCE_PREFIX,
  LOCKED,
  findProcess,
  launchDaemon,
  processEnd,
} from './daemon-process.ts';
import type { DaemonPaths } from './daemon-process.ts';

/** A daemon answers within milliseconds; after this it hangs. */
export const ANSWER_LIMIT_MS = 3_000;
const START_LIMIT_MS = 10_000;
const START_POLL_MS = 3;
const LOCKED_POLL_MS = 20;
const QUIT_LIMIT_MS = 10_000;

/** A daemon that answers. */
export interface Daemon {
  readonly qmp: QmpClient;
  /** Changes with every start. */
  readonly instance: string;
  readonly pid: number | undefined;
}

/** The process is there and does not answer within the limit. */
export class DaemonHung extends Failure {}

/**
 * @returns undefined when no daemon of the group runs
 * @throws DaemonHung
 */
export async function findDaemon(paths: DaemonPaths): Promise<Daemon | undefined> {
  const qmp = await connectMonitor(paths);
  if (!qmp) return undefined;
  try {
    const mark = (await queryObjects(qmp)).find((id) => id.startsWith(INSTANCE_PREFIX));
    if (mark === undefined)
      throw new Failure(`${paths.control}: wanted a daemon of ours, got another`);
    const instance = mark.slice(INSTANCE_PREFIX.length);
    return { qmp, instance, pid: await findProcess(paths, instance) };
  } catch (cause) {
    qmp.close();
    if (cause instanceof QmpTimeout) throw new DaemonHung(cause.message, { cause });
    if (cause instanceof QmpClosed) return undefined;
    throw cause;
  }
}

/** The control monitor; the rescue monitor when somebody who hangs holds that one. */
async function connectMonitor(paths: DaemonPaths): Promise<QmpClient | undefined> {
  try {
    return await QmpClient.connect(paths.control, ANSWER_LIMIT_MS);
  } catch (cause) {
    if (cause instanceof QmpClosed) return undefined;
    if (!(cause instanceof QmpTimeout)) throw cause;
  }
  try {
    return await QmpClient.connect(paths.rescue, ANSWER_LIMIT_MS);
  } catch (cause) {
    if (cause instanceof QmpClosed) return undefined;
    throw new DaemonHung(`${paths.rescue}: the daemon does not answer`, { cause });
  }
}

/** Starts the group's daemon, empty; finds the one that runs if there is one. */
export async function startDaemon(
  paths: DaemonPaths,
  clock: Clock,
  find: () => Promise<Daemon | undefined>,
): Promise<Daemon> {
  const giveUpAt = clock.monotonicMs() + START_LIMIT_MS;
  let launched = launchDaemon(paths);
  for (;;) {
    const daemon = await find();
    if (daemon) return daemon;
    const ended = launched.ended();
    if (ended !== undefined && ended !== LOCKED) {
      throw new Failure(`the daemon ended at once: ${ended}; see ${paths.log}`);
    }
    if (clock.monotonicMs() > giveUpAt) {
      throw new Failure(`no daemon answers at ${paths.control}: ${ended ?? 'it still starts'}`);
    }
    await clock.sleep(ended === LOCKED ? LOCKED_POLL_MS : START_POLL_MS);
    // The one that holds the lock answers soon, or is about to end.
    if (ended === LOCKED) launched = launchDaemon(paths);
  }
}

/** Ends a daemon in an orderly way: it flushes and closes all. */
export async function quitDaemon(
  paths: DaemonPaths,
  { qmp, instance }: Daemon,
  clock: Clock,
): Promise<void> {
  const pid = await findProcess(paths, instance);
  try {
    await qmp.execute('quit', {}, QUIT_LIMIT_MS);
  } catch (cause) {
    if (!(cause instanceof QmpClosed)) throw cause;
  } finally {
    qmp.close();
  }
  if (pid !== undefined) await processEnd(paths, pid, clock);
}

/** Ends a daemon that does not answer. What was not flushed is lost, as with a machine's power. */
export async function killDaemon(paths: DaemonPaths, clock: Clock): Promise<void> {
  const pid = await findProcess(paths);
  if (pid === undefined) return;
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    return;
  }
  await processEnd(paths, pid, clock);
}
