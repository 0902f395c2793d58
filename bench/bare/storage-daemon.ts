import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { QmpClient } from '../../src/engines/qmp/client.ts';

const DAEMON = 'qemu-storage-daemon';
const START_LIMIT_MS = 10_000;
const LOOK_AGAIN_MS = 5;

export interface StorageDaemon {
  readonly qmp: QmpClient;
  /** Ends it, flushed; safe to repeat. */
  readonly end: () => Promise<void>;
}

/** A `qemu-storage-daemon` of our own, empty. */
export async function startStorageDaemon(
  directory: string,
  name: string,
  args: readonly string[] = [],
): Promise<StorageDaemon> {
  const monitor = join(directory, `${name}.qmp`);
  const pidFile = join(directory, `${name}.pid`);
  const log = openSync(join(directory, `${name}.log`), 'w');
  const child = spawn(
    DAEMON,
    [
      ...['--chardev', `socket,id=control,path=${monitor},server=on,wait=off`],
      ...['--monitor', 'chardev=control', '--pidfile', pidFile, ...args],
    ],
    { stdio: ['ignore', log, log] },
  );
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const deadline = performance.now() + START_LIMIT_MS;
  while (!existsSync(pidFile)) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`${name}: ${DAEMON} does not start`);
    await delay(LOOK_AGAIN_MS);
  }
  const qmp = await QmpClient.connect(monitor);
  const end = async (): Promise<void> => {
    qmp.close();
    child.kill('SIGTERM');
    await ended;
  };
  return { qmp, end };
}
