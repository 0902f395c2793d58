/** Numbers of repetitions, and how far apart they were. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly count: number;
}

/** @throws RangeError when there are none */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const least = sorted[0];
  const most = sorted.at(-1);
  if (least === undefined || most === undefined) throw new RangeError('no repetitions');
  return { median: percentile(sorted, 0.5), least, most, count: sorted.length };
}

/** Of sorted values, interpolated between neighbours. */
export function percentile(sorted: readonly number[], fraction: number): number {
  const at = (sorted.length - 1) * fraction;
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}

/**
 * How fast ours was against theirs, repetition by repetition: 1 is equal, more is faster. Neighbours
 * in time met the same machine, so their ratio is steadier than the ratio of medians.
 */
export function speedRatios(
  ourSeconds: readonly number[],
  theirSeconds: readonly number[],
): readonly number[] {
  return ourSeconds.flatMap((ours, i) => {
    const theirs = theirSeconds[i];
    return theirs === undefined ? [] : [theirs / ours];
  });
}

/** `4.21 (4.10–4.55)` */
export function said(values: readonly number[], digits: number): string {
  if (values.length === 0) return '–';
  const { median, least, most, count } = spreadOf(values);
  const range = count > 1 ? ` (${least.toFixed(digits)}–${most.toFixed(digits)})` : '';
  return `${median.toFixed(digits)}${range}`;
}

/** `0.97 (0.93–1.01) ✓` */
export function judged(
  values: readonly number[],
  wanted: number,
  is: 'least' | 'most',
  digits = 2,
): string {
  const { median } = spreadOf(values);
  const holds = is === 'least' ? median >= wanted : median <= wanted;
  return `**${said(values, digits)}** ${holds ? 'holds' : 'MISSED'}`;
}
