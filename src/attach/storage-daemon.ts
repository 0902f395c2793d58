import { startDaemon } from './daemon-process.ts';
import type { Daemon } from './daemon-process.ts';

const QEMU = {
  command: 'qemu-storage-daemon',
  install: "Install QEMU's storage daemon.",
};

/** @throws BridgeRefused as `startDaemon` */
export function startStorageDaemon(args: readonly string[], pidFile: string): Promise<Daemon> {
  return startDaemon(QEMU, args, pidFile);
}
