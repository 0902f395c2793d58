import { createHash } from 'node:crypto';
import type { VolumeId } from '../../src/domain/ids.ts';
import type { VolumeHash, VolumeSpec } from '../../src/ports/engine.ts';

export const BLOCK_BYTES = 4096;
const HASH_BLOCK_BYTES = 4 * 1024 * 1024;
const BLOCKS_PER_HASH = HASH_BLOCK_BYTES / BLOCK_BYTES;

/**
 * A volume's bytes at one instant: the 4 KiB blocks that were ever written. A write replaces the
 * block's object, also with equal bytes, so what was written since another instant is what is not
 * the same object there.
 */
export interface VolumeContent extends VolumeSpec {
  readonly blocks: ReadonlyMap<number, Uint8Array>;
}

/** Of every volume of a group, in the group's order. */
export type GroupContent = ReadonlyMap<VolumeId, VolumeContent>;

export function emptyContent({ volumeId, name, sizeBytes }: VolumeSpec): VolumeContent {
  return { volumeId, name, sizeBytes, blocks: new Map() };
}

export function withBlock(content: VolumeContent, block: number, bytes: Uint8Array): VolumeContent {
  if (block < 0 || (block + 1) * BLOCK_BYTES > content.sizeBytes || bytes.length !== BLOCK_BYTES) {
    throw new RangeError(`volume ${content.name}: no block ${block} of ${bytes.length} bytes`);
  }
  return { ...content, blocks: new Map(content.blocks).set(block, bytes) };
}

/** The blocks that were written since `base`; all that there are without one. */
export function writtenSince(
  content: VolumeContent,
  base: VolumeContent | undefined,
): readonly number[] {
  return [...content.blocks.keys()].filter(
    (block) => content.blocks.get(block) !== base?.blocks.get(block),
  );
}

export function differs(content: GroupContent, base: GroupContent): boolean {
  if (content.size !== base.size) return true;
  return [...content.values()].some((volume) => {
    const before = base.get(volume.volumeId);
    return before?.sizeBytes !== volume.sizeBytes || writtenSince(volume, before).length > 0;
  });
}

/** Each distinct block once, however many points hold it. */
export function allocatedBytes(contents: readonly VolumeContent[]): number {
  const distinct = new Set(contents.flatMap(({ blocks }) => [...blocks.values()]));
  return distinct.size * BLOCK_BYTES;
}

/** As the real engine's: SHA-256 over the SHA-256 of every 4 MiB block, the last one shorter. */
export function hashContent({ volumeId, sizeBytes, blocks }: VolumeContent): VolumeHash {
  const written = new Set([...blocks.keys()].map((block) => Math.floor(block / BLOCKS_PER_HASH)));
  const root = createHash('sha256');
  for (let offset = 0; offset < sizeBytes; offset += HASH_BLOCK_BYTES) {
    const lengthBytes = Math.min(HASH_BLOCK_BYTES, sizeBytes - offset);
    const isWritten = written.has(offset / HASH_BLOCK_BYTES);
    root.update(isWritten ? digest(blocks, offset, lengthBytes) : digestOfZeroes(lengthBytes));
  }
  return { volumeId, sizeBytes, hash: root.digest('hex') };
}

function digest(blocks: VolumeContent['blocks'], offset: number, lengthBytes: number): Uint8Array {
  const bytes = Buffer.alloc(lengthBytes);
  const first = offset / BLOCK_BYTES;
  for (let index = 0; index * BLOCK_BYTES < lengthBytes; index += 1) {
    bytes.set(blocks.get(first + index) ?? [], index * BLOCK_BYTES);
  }
  return createHash('sha256').update(bytes).digest();
}

const zeroDigests = new Map<number, Uint8Array>();

function digestOfZeroes(lengthBytes: number): Uint8Array {
  const known =
    zeroDigests.get(lengthBytes) ?? createHash('sha256').update(Buffer.alloc(lengthBytes)).digest();
  zeroDigests.set(lengthBytes, known);
  return known;
}
