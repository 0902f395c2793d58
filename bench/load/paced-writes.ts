import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fio } from './fio.ts';
import type { FioJob, FioTarget } from './fio.ts';

export interface TimedWrite {
  /** When it was answered, by the machine's clock. */
  readonly atMs: number;
  readonly microseconds: number;
}

/** Writes at a steady pace, and remembers each write. The target must have a home to log in. */
export async function pacedWrites(
  target: FioTarget,
  job: Omit<FioJob, 'rw' | 'more'> & { readonly iops: number },
): Promise<readonly TimedWrite[]> {
  const { home } = target;
  if (home === undefined) throw new Error('fio has nowhere to write its log');
  const log = ['--write_lat_log=writes', '--log_avg_msec=0', '--log_unix_epoch=1'];
  await fio(target, { ...job, rw: 'randwrite', more: log });
  const found = parse(await readFile(join(home, 'writes_lat.1.log'), 'utf8'));
  for (const kind of ['lat', 'clat', 'slat'])
    await rm(join(home, `writes_${kind}.1.log`), { force: true });
  return found;
}

/** A line: milliseconds, nanoseconds, direction, bytes, offset, priority. */
function parse(log: string): readonly TimedWrite[] {
  return log.split('\n').flatMap((line) => {
    const [atMs = NaN, nanoseconds = NaN] = line.split(',', 2).map(Number);
    return Number.isNaN(nanoseconds) ? [] : [{ atMs, microseconds: nanoseconds / 1000 }];
  });
}
