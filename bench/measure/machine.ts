import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { GIB } from '../bench.ts';

const run = promisify(execFile);

/** `2 × AMD EPYC, 23 GiB, Linux 6.18, QEMU 10.0.2, ext4 on vda, Node 26.10.0` */
export async function describeMachine(directory: string): Promise<string> {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const qemu = await firstMatch('qemu-storage-daemon', ['--version'], /version (\S+)/);
  const disk = await firstMatch('findmnt', ['-no', 'FSTYPE,SOURCE', '-T', directory], /(.+)/);
  const [type, source = ''] = disk.split(/\s+/);
  const name = source.replace('/dev/', '');
  return [
    `${cpus().length} × ${model}`,
    `${(totalmem() / GIB).toFixed(0)} GiB of memory`,
    `Linux ${release()}`,
    `QEMU ${qemu}`,
    `${type} on ${name}${await kindOfDisk(name)}`,
    `Node ${process.versions.node}`,
  ].join(', ');
}

/** Runnable tasks over the last minute: more than ours alone is somebody else's work. */
export async function loadAverage(): Promise<string> {
  return (await readFile('/proc/loadavg', 'utf8')).split(' ')[0] ?? '';
}

async function firstMatch(program: string, args: readonly string[], what: RegExp): Promise<string> {
  const { stdout } = await run(program, args);
  return what.exec(stdout)?.[1]?.trim() ?? 'unknown';
}

async function kindOfDisk(name: string): Promise<string> {
  const rotational = await readFile(`/sys/block/${name}/queue/rotational`, 'utf8').catch(() => '');
  const model = await readFile(`/sys/block/${name}/device/model`, 'utf8').catch(() => '');
  const virtual = name.startsWith('vd') ? 'virtio' : model.trim();
  if (virtual !== '') return ` (${virtual})`;
  return rotational.trim() === '1' ? ' (rotational)' : '';
}
