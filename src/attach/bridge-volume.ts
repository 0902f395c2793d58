import { resolve as absolute } from 'node:path';
import { daemonArguments } from './bridge-daemon.ts';
import { checkExport } from './bridge-refusal.ts';
import type { BridgedExport } from './bridge-refusal.ts';
import { hideSocket, pidFileOf, removeBridgeFiles } from './bridge-socket.ts';
import { startStorageDaemon } from './storage-daemon.ts';
import type { Daemon } from './daemon-process.ts';

const CONNECT_TIMEOUT_MS = 10_000;

export interface BridgeRequest extends BridgedExport {
  /** Where the volume shall appear on this host. */
  readonly socketPath: string;
  /**
   * Requests wait so long for a lost server, in seconds, before they fail with an I/O error. What
   * was acknowledged is not sent again: after a failover that lost writes a bridge must be ended.
   */
  readonly reconnectDelaySeconds: number;
  readonly connectTimeoutMs?: number;
}

export interface BridgedVolume {
  readonly pid: number;
  readonly socketPath: string;
  readonly pidFile: string;
  /** What other programs on this host open. The export without a name is the same volume. */
  readonly uri: string;
}

export interface Bridge extends BridgedVolume {
  /** Settles when the daemon is gone, with what it said last unless it was closed. */
  readonly ended: Promise<{ readonly closed: boolean; readonly said: string }>;
  /** Ends the daemon and removes its socket. Safe to repeat. */
  readonly close: () => Promise<void>;
}

/**
 * Bridges a volume to a unix socket of this host, for programs that know no certificates. The
 * bridge lives until it is closed or its daemon dies; a signal is the caller's to catch.
 *
 * @throws BridgeRefused — nothing was started, or nothing was left
 */
export async function bridgeVolume(request: BridgeRequest): Promise<Bridge> {
  const daemon = await start(request);
  let closed = false;
  const close = async (): Promise<void> => {
    closed = true;
    await daemon.end();
    await removeBridgeFiles(request.socketPath);
  };
  const ended = daemon.gone.then(async () => {
    if (!closed) await removeBridgeFiles(request.socketPath);
    return { closed, said: daemon.said() };
  });
  return { ...describe(request, daemon), ended, close };
}

/**
 * As `bridgeVolume`, but the daemon stays when this process ends; `endBridge` ends it.
 *
 * @throws BridgeRefused
 */
export async function bridgeVolumeDetached(request: BridgeRequest): Promise<BridgedVolume> {
  const daemon = await start(request);
  daemon.letGo();
  return describe(request, daemon);
}

async function start(request: BridgeRequest): Promise<Daemon> {
  await checkExport(request, request.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
  const socket = await hideSocket(request.socketPath);
  const pidFile = pidFileOf(request.socketPath);
  try {
    const args = daemonArguments({
      ...request,
      credentialsDirectory: absolute(request.credentialsDirectory),
      socketPath: absolute(socket.path),
      pidFile,
    });
    const daemon = await startStorageDaemon(args, pidFile);
    try {
      await socket.show();
    } catch (reason) {
      await daemon.end();
      throw reason;
    }
    return daemon;
  } finally {
    await socket.discard();
  }
}

function describe({ exportName, socketPath }: BridgeRequest, { pid }: Daemon): BridgedVolume {
  return {
    pid,
    socketPath,
    pidFile: pidFileOf(socketPath),
    uri: socketUri(socketPath, exportName),
  };
}

/** What libnbd's tools and fio open. */
export function socketUri(socketPath: string, exportName: string): string {
  const socket = encodeURIComponent(absolute(socketPath)).replaceAll('%2F', '/');
  return `nbd+unix:///${encodeURIComponent(exportName)}?socket=${socket}`;
}
