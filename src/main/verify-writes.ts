import { BLOCK_BYTES, decodeBlock } from './numbered-block.ts';
import type { LoggedWrite, Mark, WriteCounts, WriteLog } from './write-log.ts';

/** Anything that reads a volume, such as an NBD connection. Bytes. */
export interface BlockReader {
  readonly read: (offset: number, lengthBytes: number) => Promise<Buffer>;
}

/**
 * What must be there: after a planned handover every acknowledged write; after a process or a
 * machine died what a disk with a volatile cache promises, every flushed one.
 */
export type Promised = 'acknowledged' | 'flushed';

/** What stands in each block that was ever written: a sequence, or 0 where this run's is absent. */
export type VolumeImage = ReadonlyMap<number, number | 'torn' | 'misplaced'>;

export interface WrongBlock {
  readonly label: string;
  readonly block: number;
  /** The oldest sequence that may stand there. */
  readonly wanted: number;
  readonly seen: number | 'torn' | 'misplaced';
}

/** Counts are blocks. Of wrong blocks the first 20 of each kind are named. */
export interface Verification {
  readonly ok: boolean;
  readonly promised: Promised;
  readonly checked: number;
  /** Older than the block's last acknowledged write. */
  readonly lost: number;
  /** Older than the block's last flushed write. */
  readonly lostFlushed: number;
  /** Neither a whole numbered block nor zeroes, or a block of another place. */
  readonly torn: number;
  readonly newestSequence: number;
  readonly writes: WriteCounts;
  readonly examples: readonly WrongBlock[];
}

export interface CutBounds {
  /** Every write acknowledged before this mark must be in the image. */
  readonly after?: Mark;
  /** No write issued after this mark may be in the image. */
  readonly before?: Mark;
}

export type Cut =
  | { readonly consistent: true; readonly newestSequence: number }
  | {
      readonly consistent: false;
      readonly why: 'missing_before_present' | 'missing' | 'too_new' | 'torn';
      /** The write that is missing, too new or torn. */
      readonly write: LoggedWrite;
      /** A write in the image that was issued after `write` was acknowledged. */
      readonly present?: LoggedWrite;
    };

const READ_AT_ONCE = 32;
const MAX_EXAMPLES = 20;

/** Reads every block that the log knows of. The writer stands still, or the image is a point's. */
export async function readImage(
  log: WriteLog,
  volume: number,
  identity: { readonly run: number; readonly label: string },
  reader: BlockReader,
): Promise<VolumeImage> {
  const image = new Map<number, number | 'torn' | 'misplaced'>();
  const blocks = [...log.blocks(volume).keys()].toSorted((a, b) => a - b);
  for (let at = 0; at < blocks.length; at += READ_AT_ONCE) {
    const some = blocks.slice(at, at + READ_AT_ONCE);
    const contents = await Promise.all(some.map((b) => reader.read(b * BLOCK_BYTES, BLOCK_BYTES)));
    for (const [i, block] of some.entries()) {
      const found = decodeBlock(contents[i] ?? Buffer.alloc(0));
      if (found === 'torn') image.set(block, 'torn');
      else if (found === 'zeroes' || found.run !== identity.run) image.set(block, 0);
      else if (found.label !== identity.label || found.block !== block) {
        image.set(block, 'misplaced');
      } else image.set(block, found.sequence);
    }
  }
  return image;
}

/** Compares images with what the log says must be there. */
export function verifyWrites(
  log: WriteLog,
  labels: readonly string[],
  images: readonly VolumeImage[],
  promised: Promised,
): Verification {
  let [checked, lost, lostFlushed, torn, newestSequence] = [0, 0, 0, 0, 0];
  const examples: WrongBlock[] = [];
  const example = (wrong: WrongBlock, soFar: number): void => {
    if (soFar <= MAX_EXAMPLES) examples.push(wrong);
  };
  for (const [volume, image] of images.entries()) {
    const label = labels[volume] ?? `${volume}`;
    for (const [block, { lastAcknowledged, lastFlushed }] of log.blocks(volume)) {
      const seen = image.get(block) ?? 0;
      const wanted = promised === 'flushed' ? lastFlushed : lastAcknowledged;
      checked += 1;
      if (typeof seen === 'string') {
        torn += 1;
        example({ label, block, wanted, seen }, torn);
        continue;
      }
      newestSequence = Math.max(newestSequence, seen);
      if (seen < lastAcknowledged) lost += 1;
      if (seen < lastFlushed) lostFlushed += 1;
      if (seen < wanted) example({ label, block, wanted, seen }, lost);
    }
  }
  const missing = promised === 'flushed' ? lostFlushed : lost;
  const counts = { checked, lost, lostFlushed, torn, newestSequence, writes: log.counts() };
  return { ok: missing === 0 && torn === 0, promised, ...counts, examples };
}

/**
 * Tells whether the images are one instant of all volumes. Writes in flight together have no order;
 * but where X was acknowledged before Y was issued, an image with Y must have X, or a newer write
 * on X's block.
 */
export function verifyCut(log: WriteLog, images: readonly VolumeImage[], bounds: CutBounds): Cut {
  const writes = log.writes();
  const seenAt = ({ volume, block }: LoggedWrite): number | 'torn' | 'misplaced' =>
    images[volume]?.get(block) ?? 0;
  let newest: LoggedWrite | undefined;
  for (const write of writes) {
    const seen = seenAt(write);
    if (typeof seen === 'string') return { consistent: false, why: 'torn', write };
    if (seen !== write.sequence) continue;
    if (bounds.before !== undefined && write.issuedTick > bounds.before) {
      return { consistent: false, why: 'too_new', write };
    }
    newest = write;
  }
  for (const write of writes) {
    const seen = seenAt(write);
    if (typeof seen === 'string' || seen >= write.sequence) continue;
    if (newest && write.acknowledgedTick < newest.issuedTick) {
      return { consistent: false, why: 'missing_before_present', write, present: newest };
    }
    if (bounds.after !== undefined && write.acknowledgedTick < bounds.after) {
      return { consistent: false, why: 'missing', write };
    }
  }
  return { consistent: true, newestSequence: newest?.sequence ?? 0 };
}
