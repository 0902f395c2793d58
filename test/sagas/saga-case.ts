import type { SagaId } from '../../src/domain/ids.ts';
import type { MemoryPair } from '../support/memory-site.ts';
import type { Picture } from './picture.ts';

/** One way to start a saga, on two sites that have been prepared for it. */
export interface SagaCase {
  readonly kind: string;
  readonly name: string;
  readonly at: 'paris' | 'lyon';
  /** Everything up to the request. */
  readonly prepare: (pair: MemoryPair) => Promise<void>;
  readonly start: (pair: MemoryPair) => Promise<SagaId>;
  /** What an undone run leaves besides what was there before. */
  readonly undone?: (before: Picture) => Picture;
  /** What does not matter of a run that was done. */
  readonly blurDone?: (picture: Picture) => Picture;
  /** What does not matter of an undone run. */
  readonly blur?: (picture: Picture) => Picture;
  /** The other site serves on until it hears of it. */
  readonly isForced?: boolean;
}
