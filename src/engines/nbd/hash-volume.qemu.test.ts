import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  serveRawFile,
  sparseFile,
  startNbdkit,
  startStorageDaemon,
  temporaryDirectory,
} from '../../../test/support/nbd-servers.ts';
import { connectNbd } from './connection.ts';
import { HASH_BLOCK_BYTES, hashVolume } from './hash-volume.ts';

const MIB = 1024 * 1024;

async function volume(sizeBytes: number) {
  const directory = await temporaryDirectory();
  const file = await sparseFile(join(directory, 'volume.raw'), sizeBytes);
  const socketPath = join(directory, 'nbd.sock');
  await startStorageDaemon(directory, serveRawFile(file, socketPath, 'v'));
  return connectNbd({ address: { socketPath }, exportName: 'v' });
}

/** The definition, said once more and as plainly as it can be. */
function hashOf(content: Buffer): string {
  const root = createHash('sha256');
  for (let at = 0; at < content.length; at += HASH_BLOCK_BYTES) {
    root.update(
      createHash('sha256')
        .update(content.subarray(at, at + HASH_BLOCK_BYTES))
        .digest(),
    );
  }
  return root.digest('hex');
}

test('the hash is the documented one, and one flipped byte changes it', async () => {
  const content = Buffer.alloc(41 * MIB + 4096);
  for (let at = 0; at < content.length; at += 4096)
    content.writeUInt32LE((at * 2654435761) >>> 0, at);
  const nbd = await volume(content.length);
  for (let at = 0; at < content.length; at += MIB) {
    await nbd.write(at, content.subarray(at, at + MIB));
  }
  const progress: number[] = [];

  const hash = await hashVolume(nbd, { onProgress: (p) => progress.push(p.hashedBytes) });

  assert.equal(hash.sha256, hashOf(content));
  assert.equal(progress.length, 11);
  assert.equal(progress.at(-1), content.length);
  content[30 * MIB + 17] = 1;
  await nbd.write(30 * MIB, content.subarray(30 * MIB, 30 * MIB + 4096));
  const flipped = await hashVolume(nbd);
  assert.notEqual(flipped.sha256, hash.sha256);
  assert.equal(flipped.sha256, hashOf(content));
  await nbd.disconnect();
});

test('holes, zeroed ranges and zeroes that were written hash alike', async () => {
  const sizeBytes = 50 * MIB;
  const [sparse, written] = await Promise.all([volume(sizeBytes), volume(sizeBytes)]);
  for (let at = 0; at < sizeBytes; at += MIB) await written.write(at, Buffer.alloc(MIB));
  for (const nbd of [sparse, written]) {
    await nbd.write(9 * MIB, Buffer.alloc(4096, 5));
    await nbd.write(24 * MIB - 4096, Buffer.alloc(4096, 6));
    await nbd.write(sizeBytes - 4096, Buffer.alloc(4096, 7));
  }
  await written.writeZeroes(12 * MIB, 4 * MIB);

  const [a, b] = await Promise.all([hashVolume(sparse), hashVolume(written)]);

  assert.equal(a.sha256, b.sha256);
  assert.equal(a.readBytes, 10 * MIB);
  assert.ok(b.readBytes > 40 * MIB);
  await Promise.all([sparse.disconnect(), written.disconnect()]);
});

test('an empty volume of many gigabytes hashes without a read', async () => {
  const nbd = await volume(128 * 1024 * MIB);

  const { sha256, readBytes } = await hashVolume(nbd);

  assert.equal(readBytes, 0);
  const block = createHash('sha256').update(Buffer.alloc(HASH_BLOCK_BYTES)).digest();
  const root = createHash('sha256');
  for (let i = 0; i < 32_768; i += 1) root.update(block);
  assert.equal(sha256, root.digest('hex'));
  await nbd.disconnect();
});

test('a read that fails fails the hash', async () => {
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'nbd.sock');
  const faulty = ['error-pread=EIO', 'error-pread-rate=30%'];
  await startNbdkit(directory, [
    ['--unix', socketPath, '--filter=error', '--filter=noextents'],
    ['memory', '64M', ...faulty],
  ]);
  const nbd = await connectNbd({ address: { socketPath }, exportName: '' });

  await assert.rejects(hashVolume(nbd), /EIO/);
  await nbd.disconnect();
});
