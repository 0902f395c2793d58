/**
 * Writes new layers as `qemu-img create -o cluster_size=128k,extended_l2=on` would, byte for byte
 * (the contract test compares): without a process and without the daemon's main loop.
 *
 *   cluster 0: header, extensions, backing file's name   2: the one refcount block
 *   cluster 1: refcount table                            3…: L1 table, all zero
 *
 * @see QEMU docs/interop/qcow2.rst
 */
import { open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export const CLUSTER_BYTES = 128 * 1024;

const CLUSTER_BITS = 17;
/** An L2 table is a cluster of 16-byte entries, one for each cluster of data. */
const L1_ENTRY_COVERS_BYTES = (CLUSTER_BYTES / 16) * CLUSTER_BYTES;
const L1_CLUSTER = 3;
const REFCOUNT_BITS_LOG2 = 4;
const EXTENDED_L2 = 1n << 4n;
const HEADER_BYTES = 112;
const BACKING_FORMAT_EXTENSION = 0xe2792aca;
const FEATURE_NAMES_EXTENSION = 0x6803f857;

const featureNames: readonly (readonly [type: number, bit: number, name: string])[] = [
  [0, 0, 'dirty bit'],
  [0, 1, 'corrupt bit'],
  [0, 2, 'external data file'],
  [0, 3, 'compression type'],
  [0, 4, 'extended L2 entries'],
  [1, 0, 'lazy refcounts'],
  [2, 0, 'bitmaps'],
  [2, 1, 'raw external data'],
];

export interface NewLayer {
  readonly path: string;
  readonly sizeBytes: number;
  /** File name of the layer below, in the same directory. */
  readonly backingFile: string | undefined;
}

/**
 * Makes an empty layer, durable except for its directory entry (`syncDirectory`). A file of that
 * name is replaced if it is an empty layer, which a crash left; anything else is kept aside.
 */
export async function createLayerFile({ path, sizeBytes, backingFile }: NewLayer): Promise<void> {
  await makeWay(path);
  const l1Entries = Math.ceil(sizeBytes / L1_ENTRY_COVERS_BYTES);
  const l1Clusters = Math.ceil((l1Entries * 8) / CLUSTER_BYTES);
  const file = await open(path, 'wx', 0o600);
  try {
    await file.write(header(sizeBytes, l1Entries, backingFile), 0, undefined, 0);
    await file.write(bigEndian64(2 * CLUSTER_BYTES), 0, undefined, CLUSTER_BYTES);
    const refcounts = Buffer.alloc((L1_CLUSTER + l1Clusters) * 2);
    for (let at = 0; at < refcounts.length; at += 2) refcounts.writeUInt16BE(1, at);
    await file.write(refcounts, 0, undefined, 2 * CLUSTER_BYTES);
    await file.truncate(L1_CLUSTER * CLUSTER_BYTES + l1Entries * 8);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Whether nothing was ever written to a layer. It must not be open for writing. */
export async function isEmptyLayer(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const head = Buffer.alloc(HEADER_BYTES);
    await file.read(head, 0, HEADER_BYTES, 0);
    const table = Buffer.alloc(head.readUInt32BE(36) * 8);
    await file.read(table, 0, table.length, Number(head.readBigUInt64BE(40)));
    return table.every((byte) => byte === 0);
  } finally {
    await file.close();
  }
}

/** How large its volume is at this layer. */
export async function layerSize(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    const head = Buffer.alloc(HEADER_BYTES);
    await file.read(head, 0, HEADER_BYTES, 0);
    return Number(head.readBigUInt64BE(24));
  } finally {
    await file.close();
  }
}

export async function allocatedBytes(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return (found?.blocks ?? 0) * 512;
}

/** Makes the names of the files in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function makeWay(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return;
  const isJunk = found.size < HEADER_BYTES || (await isEmptyLayer(path).catch(() => false));
  if (isJunk) return rm(path);
  await rename(
    path,
    join(dirname(path), `set-aside-${Math.floor(found.mtimeMs)}.${basename(path)}`),
  );
}

function header(sizeBytes: number, l1Entries: number, backingFile: string | undefined): Buffer {
  const extensions = [
    ...(backingFile === undefined
      ? []
      : [extension(BACKING_FORMAT_EXTENSION, Buffer.from('qcow2'))]),
    extension(FEATURE_NAMES_EXTENSION, Buffer.concat(featureNames.map(featureName))),
    Buffer.alloc(8),
  ];
  const name = Buffer.from(backingFile ?? '');
  const head = Buffer.alloc(HEADER_BYTES);
  const nameOffset = extensions.reduce((sum, { length }) => sum + length, HEADER_BYTES);
  head.write('QFI\xfb', 0, 'latin1');
  head.writeUInt32BE(3, 4);
  head.writeBigUInt64BE(BigInt(name.length > 0 ? nameOffset : 0), 8);
  head.writeUInt32BE(name.length, 16);
  head.writeUInt32BE(CLUSTER_BITS, 20);
  head.writeBigUInt64BE(BigInt(sizeBytes), 24);
  head.writeUInt32BE(l1Entries, 36);
  head.writeBigUInt64BE(BigInt(L1_CLUSTER * CLUSTER_BYTES), 40);
  head.writeBigUInt64BE(BigInt(CLUSTER_BYTES), 48);
  head.writeUInt32BE(1, 56);
  head.writeBigUInt64BE(EXTENDED_L2, 72);
  head.writeUInt32BE(REFCOUNT_BITS_LOG2, 96);
  head.writeUInt32BE(HEADER_BYTES, 100);
  return Buffer.concat([head, ...extensions, name]);
}

function extension(type: number, data: Buffer): Buffer {
  const bytes = Buffer.alloc(8 + Math.ceil(data.length / 8) * 8);
  bytes.writeUInt32BE(type, 0);
  bytes.writeUInt32BE(data.length, 4);
  data.copy(bytes, 8);
  return bytes;
}

function featureName([type, bit, name]: (typeof featureNames)[number]): Buffer {
  const bytes = Buffer.alloc(48);
  bytes.writeUInt8(type, 0);
  bytes.writeUInt8(bit, 1);
  bytes.write(name, 2, 'latin1');
  return bytes;
}

function bigEndian64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}
