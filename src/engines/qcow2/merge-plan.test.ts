import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { PointId, VolumeId } from '../../domain/ids.ts';
import { afterMerge, nextMerge } from './merge-plan.ts';
import type { MergeStep } from './merge-plan.ts';
import type { Layer, VolumeRecord } from './record.ts';

const BLOCKS = 4;

/** What a layer holds: a value for some of the volume's blocks. */
type Content = ReadonlyMap<number, number>;

interface Chain {
  readonly volume: VolumeRecord;
  readonly contents: ReadonlyMap<number, Content>;
  readonly forked: ReadonlySet<number>;
  readonly frozen: ReadonlySet<number>;
  readonly bytes: ReadonlyMap<number, number>;
}

const layerArbitrary = fc.record({
  isKept: fc.boolean(),
  isRoot: fc.boolean(),
  isForked: fc.boolean(),
  writes: fc.array(fc.tuple(fc.nat(BLOCKS - 1), fc.nat(1000)), { maxLength: 3 }),
  bytes: fc.nat(1_000_000_000),
});

const chainArbitrary: fc.Arbitrary<Chain> = fc
  .tuple(
    fc.array(layerArbitrary, { minLength: 1, maxLength: 20 }),
    fc.boolean(),
    fc.nat(40),
    fc.option(fc.nat(20)),
  )
  .map(([parts, hasPresent, sizeGiB, copied]) => {
    const layers = parts.map(({ isKept, isForked, isRoot }, number): Layer => {
      const isLast = number === parts.length - 1;
      // A fork's point is kept; the last layer is the active one, or seals a point.
      const seals = isLast ? !hasPresent : isKept || isForked;
      const pointId = `p${number}` as PointId;
      return { number, seals: seals ? pointId : undefined, isRoot: isRoot || number === 0 };
    });
    const volume: VolumeRecord = {
      volumeId: 'v' as VolumeId,
      name: 'v',
      sizeBytes: sizeGiB * 1024 ** 3 + 512,
      key: 0,
      layers,
    };
    const forked = parts.flatMap(({ isForked }, n) =>
      isForked && n < layers.length - 1 ? [n] : [],
    );
    // A copy reads all layers from the lowest to the one it shows.
    const frozen = layers.slice(0, copied === null ? 0 : copied + 1).map(({ number }) => number);
    return {
      volume,
      frozen: new Set(frozen),
      contents: new Map(parts.map(({ writes }, number) => [number, new Map(writes)])),
      forked: new Set(forked),
      bytes: new Map(parts.map(({ bytes }, number) => [number, bytes])),
    };
  });

/** What reads at a layer. */
function readAt(
  layers: readonly Layer[],
  contents: Chain['contents'],
  top: number,
): readonly number[] {
  const index = layers.findIndex(({ number }) => number === top);
  const root = layers.slice(0, index + 1).findLastIndex(({ isRoot }) => isRoot);
  return Array.from({ length: BLOCKS }, (_, block) => {
    const holder = layers
      .slice(root, index + 1)
      .findLast(({ number }) => contents.get(number)?.has(block));
    return (holder && contents.get(holder.number)?.get(block)) ?? 0;
  });
}

/** By point, the present, and what forks stand on. */
function everythingRead({
  volume,
  contents,
  forked,
}: Chain): ReadonlyMap<string, readonly number[]> {
  const { layers } = volume;
  const wanted = layers.filter(
    ({ number, seals }) =>
      seals !== undefined || forked.has(number) || number === layers.at(-1)?.number,
  );
  return new Map(
    wanted.map(({ number, seals }) => [seals ?? 'present', readAt(layers, contents, number)]),
  );
}

function apply(chain: Chain, step: MergeStep): Chain {
  const contents = new Map(chain.contents);
  const bytes = new Map(chain.bytes);
  if (step.kind !== 'drop') {
    // Higher layers win, wherever the bytes end up.
    const order = step.kind === 'down' ? [step.into, ...step.from] : [...step.from, step.into];
    const merged = new Map(order.flatMap(({ number }) => [...(contents.get(number) ?? [])]));
    contents.set(step.into.number, merged);
    bytes.set(
      step.into.number,
      order.reduce((sum, { number }) => sum + (bytes.get(number) ?? 0), 0),
    );
  }
  const layers = afterMerge(chain.volume.layers, step);
  return { ...chain, volume: { ...chain.volume, layers }, contents, bytes };
}

test('merging keeps every point, the present and what forks stand on, and comes to an end', () => {
  fc.assert(
    fc.property(chainArbitrary, (start) => {
      const before = everythingRead(start);
      let chain = start;
      for (let steps = 0; ; steps += 1) {
        assert.ok(steps <= 20, 'it does not end');
        const step = nextMerge(chain.volume, chain);
        if (!step) break;
        for (const { number } of step.from)
          assert.ok(!chain.forked.has(number), 'a fork lost its base');
        const touched = step.kind === 'drop' ? step.from : [...step.from, step.into];
        for (const { number } of touched)
          assert.ok(!chain.frozen.has(number), 'a file changed beneath a copy');
        chain = apply(chain, step);
        assert.deepEqual(everythingRead(chain), before);
      }
      const { layers } = chain.volume;
      const needed =
        layers.filter(({ seals, number }) => seals !== undefined || start.frozen.has(number))
          .length + 1;
      assert.ok(layers.length <= 2 * needed, `${layers.length} layers for ${needed}`);
    }),
    { numRuns: 2000 },
  );
});

test('a large volume waits for several layers, and a small one does not', () => {
  const volumeOf = (sizeBytes: number, expendable: number): VolumeRecord => {
    const numbers = Array.from({ length: expendable + 2 }, (_, number) => number);
    const layers = numbers.map((number) => ({
      number,
      seals: number === expendable ? ('p' as PointId) : undefined,
      isRoot: number === 0,
    }));
    return { volumeId: 'v' as VolumeId, name: 'v', sizeBytes, key: 0, layers };
  };
  const nothing = new Set<number>();
  const facts = { forked: nothing, frozen: nothing, bytes: new Map<number, number>() };
  const TIB = 1024 ** 4;

  assert.equal(nextMerge(volumeOf(TIB / 1024, 1), facts)?.kind, 'down');
  assert.equal(nextMerge(volumeOf(TIB, 7), facts), undefined);
  assert.equal(nextMerge(volumeOf(TIB, 8), facts)?.from.length, 8);
});
