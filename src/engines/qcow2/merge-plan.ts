/**
 * Which layers of a volume are merged, and how. A layer that seals nothing is not needed as a
 * boundary; its bytes are. With r the lowest of such a run and k the layer right above it:
 *
 *   down:  r ◀─ r2 ◀─ k ◀─ …   becomes   r+r2+k ◀─ …       costs r2 and k; r's file changes
 *   up:    r ◀─ k ◀─ …         becomes   r+k ◀─ …          costs r; k's file changes
 *   fold:  r ◀─ r2 ◀─ k ◀─ …   becomes   r+r2 ◀─ k ◀─ …    when k must stay as it is
 *   drop:  r, then a k that stands on nothing: r is not needed at all
 *
 * A large first layer so stays where it is, and small ones come down to it. Nothing is merged into
 * the layer that hosts write: all of it would then travel as if it had been written since.
 */
import type { Layer, VolumeRecord } from './record.ts';
import { activeLayer } from './record.ts';

/** Bringing up no more than this is cheaper than waiting for a better moment. */
const WORTH_BRINGING_UP_BYTES = 64 * 1024 * 1024;

export type MergeStep =
  /** `from`, highest last, into the layer below them, which then seals what the highest sealed. */
  | { readonly kind: 'down'; readonly into: Layer; readonly from: readonly Layer[] }
  /** `from`, lowest first, into the layer above them. */
  | { readonly kind: 'up'; readonly into: Layer; readonly from: readonly Layer[] }
  | { readonly kind: 'drop'; readonly from: readonly Layer[] };

export interface MergeFacts {
  /** Numbers of layers that forks stand on: their files stay, their content stays. */
  readonly forked: ReadonlySet<number>;
  /** Numbers of layers that a copy reads or a fork names: their files do not change at all. */
  readonly frozen: ReadonlySet<number>;
  /** Allocated bytes by layer number. */
  readonly bytes: ReadonlyMap<number, number>;
}

/** A merge looks at the whole volume, for 10 s where that is 1 TiB: one of this size is worth it… */
const WORTH_ONE_LAYER_BYTES = 64 * 1024 * 1024 * 1024;
/** …a larger one only for several layers, but never for more than these, */
const WAIT_FOR_LAYERS = 8;
/** and not when the chain is long anyway. */
const LONG_CHAIN = 12;

/** @returns the next step for this volume, or undefined when all is merged that should be */
export function nextMerge(volume: VolumeRecord, facts: MergeFacts): MergeStep | undefined {
  const { layers } = volume;
  if (!isWorthIt(volume)) return undefined;
  for (let first = 0; first < layers.length; first += 1) {
    const run = expendableFrom(volume, first, facts);
    const above = layers[first + run.length];
    if (run.length === 0 || !above) continue;
    const step = stepFor(volume, run, above, facts);
    if (step) return step;
    first += run.length - 1;
  }
  return undefined;
}

function isWorthIt({ layers, sizeBytes }: VolumeRecord): boolean {
  const expendable = layers.slice(0, -1).filter(({ seals }) => seals === undefined).length;
  const wanted = Math.min(Math.ceil(sizeBytes / WORTH_ONE_LAYER_BYTES), WAIT_FOR_LAYERS);
  return expendable >= wanted || layers.length > LONG_CHAIN;
}

/** Adjacent layers from this place on that seal nothing, within one chain. */
function expendableFrom(
  volume: VolumeRecord,
  first: number,
  { frozen }: MergeFacts,
): readonly Layer[] {
  const active = activeLayer(volume);
  const run: Layer[] = [];
  for (const layer of volume.layers.slice(first)) {
    if (layer.seals !== undefined || layer === active || frozen.has(layer.number)) break;
    if (run.length > 0 && layer.isRoot) break;
    run.push(layer);
  }
  return run;
}

function stepFor(
  volume: VolumeRecord,
  run: readonly Layer[],
  above: Layer,
  { forked, frozen, bytes }: MergeFacts,
): MergeStep | undefined {
  if (above.isRoot) return { kind: 'drop', from: run };
  if (frozen.has(above.number)) return undefined;
  const [lowest, ...others] = run;
  if (!lowest) return undefined;
  const cost = (layers: readonly Layer[]): number =>
    layers.reduce((sum, { number }) => sum + (bytes.get(number) ?? 0), 0);
  const isActive = above === activeLayer(volume);
  const isTop = above === volume.layers.at(-1);
  const upCost = cost(run);
  if (!isTop && !forked.has(above.number)) {
    const down: MergeStep = { kind: 'down', into: lowest, from: [...others, above] };
    return upCost < cost(down.from) ? { kind: 'up', into: above, from: run } : down;
  }
  if (!isActive && upCost <= Math.max(WORTH_BRINGING_UP_BYTES, cost([above]))) {
    return { kind: 'up', into: above, from: run };
  }
  return others.length > 0 ? { kind: 'down', into: lowest, from: others } : undefined;
}

/** The volume's layers after the step. */
export function afterMerge(layers: readonly Layer[], step: MergeStep): readonly Layer[] {
  const gone = new Set(step.from.map(({ number }) => number));
  const kept = layers.filter(({ number }) => !gone.has(number));
  switch (step.kind) {
    case 'down': {
      const seals = step.from.at(-1)?.seals;
      return kept.map((layer) => (layer.number === step.into.number ? { ...layer, seals } : layer));
    }
    case 'up': {
      const isRoot = layers.find(({ number }) => number === step.from[0]?.number)?.isRoot === true;
      const { number } = step.into;
      return kept.map((layer) => (layer.number === number ? { ...layer, isRoot } : layer));
    }
    case 'drop':
      return kept;
  }
}
