import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Log } from '../../ports/log.ts';
import type { LayerIo } from './nodes.ts';

const run = promisify(execFile);
const PROBE_LIMIT_MS = 10_000;

/**
 * Tries what the data directory's file system and this machine's kernel can do. A fallback is
 * slower or less safe from a full page cache, never wrong; it is said in the log.
 */
export async function probeIo(dataDirectory: string, log: Log | undefined): Promise<LayerIo> {
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  const path = join(dataDirectory, `.probe-${process.pid}-${crypto.randomUUID()}`);
  try {
    const file = await open(path, 'wx', 0o600);
    await file.truncate(1024 * 1024);
    await file.close();
    const direct = await canOpenDirect(path);
    const io: LayerIo = { direct, aio: (await canUseUring(path, direct)) ? 'io_uring' : 'threads' };
    if (!direct || io.aio !== 'io_uring')
      log?.warn({ event: 'io_fell_back', dataDirectory, ...io });
    return io;
  } finally {
    await rm(path, { force: true });
  }
}

async function canOpenDirect(path: string): Promise<boolean> {
  try {
    const file = await open(path, constants.O_RDWR | constants.O_DIRECT);
    await file.close();
    return true;
  } catch {
    return false;
  }
}

async function canUseUring(path: string, direct: boolean): Promise<boolean> {
  const cache = `cache.direct=${direct ? 'on' : 'off'}`;
  const file = `file.driver=file,file.aio=io_uring,file.filename=${path.replaceAll(',', ',,')}`;
  const command = ['--image-opts', `driver=raw,${cache},${file}`, '-c', 'write 0 4k'];
  try {
    await run('qemu-io', command, { timeout: PROBE_LIMIT_MS });
    return true;
  } catch {
    return false;
  }
}
