/**
 * A copy as files and as sockets of this machine, for tools that know neither NBD nor certificates:
 *
 *   copy's daemon ══ NBD, TLS ══▶ storage daemon ─┬─▶ FUSE file (read-only), one for each volume
 *                                                  └─▶ unix socket, nbd+unix:///<volume>
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as passes } from 'node:timers/promises';
import { Failure } from '../../domain/refusal.ts';
import type { CheckedCopy } from '../../ports/drill-tools.ts';
import type { HostBundle } from '../../ports/host-certificates.ts';
import { runTool } from './run-tool.ts';

const START_LIMIT_MS = 20_000;
const LOOK_AGAIN_MS = 10;

/** A part of a volume, as a file; all of it where no part is named. */
export interface WantedFile {
  readonly volume: string;
  readonly part?: { readonly offsetBytes: number; readonly sizeBytes: number } | undefined;
}

export interface OpenedCopy {
  /** What goes before `/<volume>` and after it in a URI. */
  readonly uriOf: (volume: string) => string;
  /** Makes a read-only file of it, hands that over, and takes it away again. */
  readonly asFile: <T>(wanted: WantedFile, work: (file: string) => Promise<T>) => Promise<T>;
}

/**
 * Opens it below a directory of its own, and removes that with everything in it at the end; what is
 * left of a call that was killed is removed first.
 */
export async function withOpenedCopy<T>(
  copy: CheckedCopy,
  { directory, bundle }: { readonly directory: string; readonly bundle: HostBundle },
  signal: AbortSignal,
  work: (opened: OpenedCopy) => Promise<T>,
): Promise<T> {
  await clean(directory);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    for (const [name, text] of Object.entries(bundle)) {
      await writeFile(join(directory, name), text as string, { mode: 0o600 });
    }
    const socket = join(directory, 'nbd.sock');
    const server = { addr: { type: 'unix', path: socket }, 'max-connections': 0 };
    const names = copy.volumes.map(({ name }) => name);
    const exports = names.flatMap((name, index) => [
      '--export',
      JSON.stringify({
        type: 'nbd',
        id: `n${index}`,
        'node-name': `v${index}`,
        name,
        writable: true,
      }),
    ]);
    const nodes = names.flatMap((name, index) => nodeOf(copy, directory, name, `v${index}`, false));
    const main = [...nodes, '--nbd-server', JSON.stringify(server), ...exports];
    return await withDaemon(main, join(directory, 'nbd.pid'), signal, () => {
      let files = 0;
      return work({
        uriOf: (volume) => `nbd+unix:///${encodeURIComponent(volume)}?socket=${socket}`,
        asFile: (wanted, use) => {
          files += 1;
          return asFile({ copy, directory, signal, number: files }, wanted, use);
        },
      });
    });
  } finally {
    await clean(directory);
  }
}

interface Place {
  readonly copy: CheckedCopy;
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly number: number;
}

async function asFile<T>(
  { copy, directory, signal, number }: Place,
  { volume, part }: WantedFile,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const file = join(directory, `file-${number}`);
  await writeFile(file, '');
  const node = nodeOf(copy, directory, volume, 'whole', true);
  const raw = part && {
    ...{ driver: 'raw', 'node-name': 'part', file: 'whole', 'read-only': true },
    ...{ offset: part.offsetBytes, size: part.sizeBytes },
  };
  const shown = raw === undefined ? 'whole' : 'part';
  const fuse = { type: 'fuse', id: 'f', 'node-name': shown, mountpoint: file, writable: false };
  const args = [
    ...node,
    ...(raw === undefined ? [] : ['--blockdev', JSON.stringify(raw)]),
    ...['--export', JSON.stringify(fuse)],
  ];
  try {
    return await withDaemon(args, join(directory, `file-${number}.pid`), signal, () => use(file));
  } finally {
    await unmount(file);
  }
}

function nodeOf(
  { address, tlsName }: CheckedCopy,
  directory: string,
  exportName: string,
  node: string,
  readOnly: boolean,
): readonly string[] {
  const credentials = {
    ...{ 'qom-type': 'tls-creds-x509', id: `tls-${node}`, dir: directory, endpoint: 'client' },
    ...{ 'verify-peer': true, 'sanity-check': false },
  };
  const volume = {
    ...{ driver: 'nbd', 'node-name': node, 'read-only': readOnly, export: exportName },
    server: { type: 'inet', host: address.host, port: `${address.port}` },
    ...{ 'tls-creds': `tls-${node}`, 'tls-hostname': tlsName },
  };
  return ['--object', JSON.stringify(credentials), '--blockdev', JSON.stringify(volume)];
}

/** @throws Failure when it does not start, as where FUSE is not to be had */
async function withDaemon<T>(
  args: readonly string[],
  pidFile: string,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const all = ['--pdeathsig', 'KILL', 'qemu-storage-daemon', ...args, '--pidfile', pidFile];
  const child = spawn('setpriv', all, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  const state = { hasEnded: false };
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      state.hasEnded = true;
      resolve();
    };
    child.once('close', end);
    child.once('error', (error) => {
      said += error.message;
      end();
    });
  });
  try {
    const giveUpAt = performance.now() + START_LIMIT_MS;
    while (!(await stat(pidFile).catch(() => undefined))) {
      signal.throwIfAborted();
      if (state.hasEnded || performance.now() > giveUpAt) {
        throw new Failure(`the copy could not be opened for its checks: ${said.trim()}`);
      }
      await passes(LOOK_AGAIN_MS);
    }
    return await work();
  } finally {
    child.kill('SIGTERM');
    await Promise.race([ended, passes(START_LIMIT_MS, undefined, { ref: false })]);
    child.kill('SIGKILL');
    await ended;
  }
}

async function clean(directory: string): Promise<void> {
  await endLeftovers(directory);
  const mounts = await readFile('/proc/self/mounts', 'utf8').catch(() => '');
  for (const name of await readdir(directory).catch(() => [])) {
    const file = join(directory, name);
    if (mounts.includes(` ${file} `)) await unmount(file);
  }
  await rm(directory, { recursive: true, force: true });
}

/**
 * A daemon whose parent was killed before it had asked to die with it. One that has not written its
 * pid yet cannot do so once its directory is gone, and ends.
 */
async function endLeftovers(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names.filter((one) => one.endsWith('.pid'))) {
    const pid = Number(await readFile(join(directory, name), 'utf8').catch(() => ''));
    if (!(pid > 1)) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    // Another process may have its number by now.
    if (command.includes(join(directory, name))) process.kill(pid, 'SIGKILL');
  }
}

/** Does nothing where nothing is mounted, as after a daemon that ended as it should. */
async function unmount(file: string): Promise<void> {
  const mounts = await readFile('/proc/self/mounts', 'utf8').catch(() => '');
  if (!mounts.includes(` ${file} `)) return;
  await runTool(['umount', '--lazy', file], new AbortController().signal);
}
