import { MIB } from '../bench.ts';
import { fio } from './fio.ts';
import type { FioTarget } from './fio.ts';

/** Writes all of it, in order, and flushes. */
export async function fill(target: FioTarget, sizeBytes: number): Promise<void> {
  const job = { rw: 'write', blockBytes: MIB, queueDepth: 8, sizeBytes, seed: 1 } as const;
  await fio(target, { ...job, more: ['--end_fsync=1'] });
}

/** Writes so many bytes of it, a mebibyte here and there, and flushes. */
export async function fillPartly(
  target: FioTarget,
  sizeBytes: number,
  ioBytes: number,
): Promise<void> {
  const job = { rw: 'randwrite', blockBytes: MIB, queueDepth: 8, sizeBytes, ioBytes } as const;
  await fio(target, { ...job, seed: 2, more: ['--end_fsync=1'] });
}
