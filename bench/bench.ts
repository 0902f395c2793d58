/** What every benchmark is made of. */
export interface Bench {
  /** As it is asked for: `npm run bench -- delta-cycle`. */
  readonly name: string;
  /** What is compared with what, and how: the text above the tables. */
  readonly about: (context: BenchContext) => string;
  readonly run: (context: BenchContext) => Promise<BenchResult>;
}

export interface BenchContext {
  /** Empty at the start, on the disk that is measured. Removed when the program ends. */
  readonly directory: string;
  /** 1: the sizes and times that are published. */
  readonly scale: number;
  /** One line of progress. */
  readonly say: (line: string) => void;
}

export interface BenchResult {
  readonly tables: readonly Table[];
  /** What a reader has to know to judge the numbers; one sentence or more each. */
  readonly notes: readonly string[];
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Bytes of a published size, scaled; whole mebibytes. */
export function scaledBytes({ scale }: BenchContext, fullBytes: number): number {
  return Math.max(1, Math.round((fullBytes * scale) / MIB)) * MIB;
}

/** Seconds of a published duration, scaled, but long enough to mean something. */
export function scaledSeconds({ scale }: BenchContext, fullSeconds: number, least: number): number {
  return Math.max(least, Math.round(fullSeconds * scale));
}

/** Repetitions of a published number, fewer where the scale is small. */
export function scaledTimes({ scale }: BenchContext, fullTimes: number, least: number): number {
  return Math.max(least, Math.round(fullTimes * scale));
}

export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;
