import { join } from 'node:path';
import { BarePair } from './bare/bare-pair.ts';
import { GIB, MIB, scaledBytes, scaledTimes } from './bench.ts';
import type { Bench, BenchContext, BenchResult } from './bench.ts';
import { fillPartly } from './load/fill.ts';
import { judged, said, speedRatios } from './measure/spread.ts';
import { wireBytes } from './measure/wire.ts';
import { BatonPair, ONE_DAY_SECONDS } from './pair/baton-pair.ts';
import { NbdcopyPair } from './peers/nbdcopy-pair.ts';

const VOLUME_BYTES = 8 * GIB;
const ALLOCATED_SHARE = 0.25;
const WANTED_SPEED = 0.9;
const REPETITIONS = 5;
const LEAST_REPETITIONS = 3;

interface Copies {
  readonly seconds: number[];
  /** MiB of data a second. */
  readonly rates: number[];
  /** Bytes on the wire for each byte of data. */
  readonly wire: number[];
}

export const firstCopy: Bench = {
  name: 'first-copy',
  about: (context) => {
    const size = scaledBytes(context, VOLUME_BYTES) / MIB;
    return `A volume of ${size} MiB, ${ALLOCATED_SHARE * 100} % of it written, a mebibyte here and there; B has
nothing. Baton: from the request to replicate it until the first point is complete at B, session and
identities included. *nbdcopy* (libnbd) reads a local socket at A, where a storage daemon serves the
same layer, and writes an empty layer at B over the same TLS, with four connections, told that the
destination is zero, flushed at the end. The *bare script* is the one of delta-cycle. Speed is the
other's time divided by Baton's. Wanted: ≥ ${WANTED_SPEED} of nbdcopy.`;
  },
  run,
};

async function run(context: BenchContext): Promise<BenchResult> {
  const sizeBytes = scaledBytes(context, VOLUME_BYTES);
  const writtenBytes = Math.round((sizeBytes * ALLOCATED_SHARE) / MIB) * MIB;
  const found = { baton: nothing(), nbdcopy: nothing(), bare: nothing() };
  const times = scaledTimes(context, REPETITIONS, LEAST_REPETITIONS);
  const baton = await BatonPair.start(join(context.directory, 'pair'));
  let nbdcopy: NbdcopyPair | undefined;
  try {
    nbdcopy = await NbdcopyPair.start(join(context.directory, 'nbdcopy'), sizeBytes);
    await fillPartly(nbdcopy.source, sizeBytes, writtenBytes);
    for (let time = 0; time < times; time += 1) {
      const name = `first-${time}`;
      await baton.createGroup(name, [name], sizeBytes);
      await fillPartly(await baton.target(name), sizeBytes, writtenBytes);
      await measure(context, 'Baton', found.baton, writtenBytes, () =>
        baton.protect(name, ONE_DAY_SECONDS),
      );
      await baton.deleteGroup(name, [name]);

      const peer = nbdcopy;
      await peer.emptyDestination();
      await measure(context, 'nbdcopy', found.nbdcopy, writtenBytes, () => peer.copy());

      const bare = await BarePair.start(join(context.directory, 'bare'), sizeBytes);
      try {
        await fillPartly(await bare.target(), sizeBytes, writtenBytes);
        await measure(context, 'bare script', found.bare, writtenBytes, () => bare.cycle());
      } finally {
        await bare.close();
      }
      await bare.remove();
    }
  } finally {
    await nbdcopy?.close();
    await baton.close();
  }
  return { tables: [{ head, rows: rowsOf(found) }], notes: [] };
}

const head = ['', 'seconds', 'MiB/s of data', "speed (theirs ÷ Baton's time)", 'wire ÷ data'];

function nothing(): Copies {
  return { seconds: [], rates: [], wire: [] };
}

async function measure(
  { say }: BenchContext,
  name: string,
  into: Copies,
  writtenBytes: number,
  copy: () => Promise<unknown>,
): Promise<void> {
  const wireBefore = await wireBytes();
  const startedMs = performance.now();
  await copy();
  const seconds = (performance.now() - startedMs) / 1000;
  const wireAfter = await wireBytes();
  into.seconds.push(seconds);
  if (wireBefore !== undefined && wireAfter !== undefined)
    into.wire.push((wireAfter - wireBefore) / writtenBytes);
  into.rates.push(writtenBytes / MIB / seconds);
  say(`${name}: ${seconds.toFixed(2)} s`);
}

function rowsOf(found: Readonly<Record<'baton' | 'nbdcopy' | 'bare', Copies>>): string[][] {
  const row = (name: string, copies: Copies, speed: string): string[] => [
    name,
    said(copies.seconds, 2),
    said(copies.rates, 0),
    speed,
    said(copies.wire, 3),
  ];
  const ratios = (theirs: Copies): readonly number[] =>
    speedRatios(found.baton.seconds, theirs.seconds);
  return [
    row('Baton', found.baton, ''),
    row('nbdcopy', found.nbdcopy, judged(ratios(found.nbdcopy), WANTED_SPEED, 'least')),
    row('bare script', found.bare, said(ratios(found.bare), 2)),
  ];
}
