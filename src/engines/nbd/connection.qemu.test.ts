import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  freePort,
  serveRawFile,
  sparseFile,
  startNbdkit,
  startStorageDaemon,
  temporaryDirectory,
} from '../../../test/support/nbd-servers.ts';
import { connectNbd, listExports } from './connection.ts';
import { NbdConnectionLost, NbdError, NbdRefused } from './errors.ts';
import type { NbdTarget } from './target.ts';

const MIB = 1024 * 1024;

async function emptyVolume(sizeBytes = 64 * MIB) {
  const directory = await temporaryDirectory();
  const file = await sparseFile(join(directory, 'volume.raw'), sizeBytes);
  const socketPath = join(directory, 'nbd.sock');
  const daemon = await startStorageDaemon(directory, serveRawFile(file, socketPath, 'orders'));
  const target: NbdTarget = { address: { socketPath }, exportName: 'orders' };
  return { daemon, target, directory };
}

function refused(code: NbdRefused['code']) {
  return (reason: unknown) => reason instanceof NbdRefused && reason.code === code;
}

test('what is written is read, over many requests in flight', async () => {
  const { target } = await emptyVolume();
  const nbd = await connectNbd(target);
  const blocks = Array.from({ length: 1000 }, (_, i) => Buffer.alloc(4096, (i % 255) + 1));

  await Promise.all(blocks.map((block, i) => nbd.write(i * 4096, block)));
  await nbd.flush();
  const read = await Promise.all(blocks.map((_, i) => nbd.read(i * 4096, 4096)));

  for (const [i, block] of blocks.entries()) assert.deepEqual(read[i], block);
  assert.deepEqual(await nbd.read(0, 1000 * 4096), Buffer.concat(blocks));
  await nbd.disconnect();
  await nbd.disconnect();
});

test('an export tells its size and what it can do', async () => {
  const { target } = await emptyVolume();

  const nbd = await connectNbd(target);

  assert.equal(nbd.info.sizeBytes, 64 * MIB);
  assert.equal(nbd.info.readOnly, false);
  assert.equal(nbd.info.canFlush && nbd.info.canFua && nbd.info.blockStatusOffered, true);
  assert.equal(nbd.info.maximumPayloadBytes, 32 * MIB);
  await nbd.disconnect();
});

test('holes read as zeroes, alone and beside data', async () => {
  const { target } = await emptyVolume();
  const nbd = await connectNbd(target);
  await nbd.write(MIB, Buffer.alloc(4096, 7), { fua: true });

  const read = await nbd.read(0, 4 * MIB);
  const hole = await nbd.read(32 * MIB, MIB);

  const wanted = Buffer.alloc(4 * MIB).fill(7, MIB, MIB + 4096);
  assert.equal(Buffer.compare(read, wanted), 0);
  assert.equal(Buffer.compare(hole, Buffer.alloc(MIB)), 0);
  await nbd.disconnect();
});

test('block status tells data from holes', async () => {
  const { target } = await emptyVolume();
  const nbd = await connectNbd(target);
  await nbd.write(MIB, Buffer.alloc(MIB, 7));
  await nbd.write(4 * MIB, Buffer.alloc(MIB, 7));
  await nbd.writeZeroes(4 * MIB, MIB / 2);

  const extents = await nbd.blockStatus(0, 8 * MIB);

  const data = extents.filter(({ zero }) => !zero);
  assert.deepEqual(data, [
    { offset: MIB, lengthBytes: MIB, hole: false, zero: false },
    { offset: 4.5 * MIB, lengthBytes: MIB / 2, hole: false, zero: false },
  ]);
  await nbd.disconnect();
});

test('trimmed and zeroed ranges read as zeroes', async () => {
  const { target } = await emptyVolume();
  const nbd = await connectNbd(target);
  await nbd.write(0, Buffer.alloc(3 * MIB, 9));

  await nbd.trim(0, MIB);
  await nbd.writeZeroes(MIB, MIB, { allocate: true });

  const wanted = Buffer.alloc(3 * MIB).fill(9, 2 * MIB);
  assert.equal(Buffer.compare(await nbd.read(0, 3 * MIB), wanted), 0);
  await nbd.disconnect();
});

test('a wrong export name is refused by name, and the right ones are listed', async () => {
  const { target } = await emptyVolume();

  await assert.rejects(connectNbd({ ...target, exportName: 'ordres' }), (reason: Error) => {
    assert.match(reason.message, /no export 'ordres'/);
    return refused('no_such_export')(reason);
  });
  assert.deepEqual(await listExports(target), ['orders']);
});

test('a request outside of the export is refused here', async () => {
  const { target } = await emptyVolume();
  const nbd = await connectNbd(target);

  await assert.rejects(nbd.read(64 * MIB - 4096, 8192), RangeError);
  await assert.rejects(nbd.read(0, 33 * MIB), RangeError);
  await nbd.disconnect();
});

test('a killed server rejects every request in flight, and later ones', async () => {
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'nbd.sock');
  const slow = ['--filter=delay', 'memory', '64M', 'wdelay=30'];
  const server = await startNbdkit(directory, ['--unix', socketPath, ...slow]);
  const nbd = await connectNbd({ address: { socketPath }, exportName: '' });
  assert.equal((await nbd.read(0, 4096)).length, 4096);

  const writes = Array.from({ length: 100 }, (_, i) => nbd.write(i * 4096, Buffer.alloc(4096, 1)));
  const settled = Promise.allSettled(writes);
  await server.end('SIGKILL');

  for (const result of await settled) {
    assert.ok(result.status === 'rejected' && result.reason instanceof NbdConnectionLost);
  }
  await nbd.ended;
  await assert.rejects(nbd.flush(), NbdConnectionLost);
  await nbd.disconnect();
});

test("a server's error rejects one request and leaves the connection", async () => {
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'nbd.sock');
  const faulty = [
    '--filter=error',
    'memory',
    '1M',
    'error-pwrite=ENOSPC',
    'error-pwrite-rate=100%',
  ];
  await startNbdkit(directory, ['--unix', socketPath, ...faulty]);
  const nbd = await connectNbd({ address: { socketPath }, exportName: '' });

  const write = nbd.write(0, Buffer.alloc(4096));

  await assert.rejects(write, (reason) => reason instanceof NbdError && reason.code === 'ENOSPC');
  assert.equal((await nbd.read(0, 4096)).length, 4096);
  await nbd.disconnect();
});

test('a failed read of a server with structured replies carries its error', async () => {
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'nbd.sock');
  const faulty = ['--filter=error', 'memory', '1M', 'error-pread=EIO', 'error-pread-rate=100%'];
  await startNbdkit(directory, ['--unix', socketPath, ...faulty]);
  const nbd = await connectNbd({ address: { socketPath }, exportName: '' });

  await assert.rejects(nbd.read(0, 4096), (e) => e instanceof NbdError && e.code === 'EIO');
  await nbd.flush();
  await nbd.disconnect();
});

test('requests that stand still for the stall time lose the connection', async () => {
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'nbd.sock');
  await startNbdkit(directory, [
    '--unix',
    socketPath,
    '--filter=delay',
    'memory',
    '1M',
    'rdelay=30',
  ]);
  const nbd = await connectNbd({ address: { socketPath }, exportName: '', stallTimeoutMs: 50 });

  await assert.rejects(nbd.read(0, 4096), NbdConnectionLost);
});

test('nobody there, and somebody who does not answer, are told apart', async () => {
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'nbd.sock');
  const target = { address: { socketPath }, exportName: '', connectTimeoutMs: 50 };
  await assert.rejects(connectNbd(target), refused('unreachable'));

  const daemon = await startStorageDaemon(directory, [
    ['--blockdev', 'null-co,node-name=n0,size=1048576'],
    ['--nbd-server', `addr.type=unix,addr.path=${socketPath},max-connections=1`],
    ['--export', 'nbd,id=e0,node-name=n0,name='],
  ]);
  const first = await connectNbd(target);
  await assert.rejects(connectNbd(target), refused('timed_out'));
  await first.disconnect();
  await daemon.end();
});

test('a server without structured replies is read all the same', async () => {
  const directory = await temporaryDirectory();
  const host = '127.0.1.21';
  const port = await freePort(host);
  await startNbdkit(directory, [
    ['--no-sr', '--ipaddr', host, '--port', `${port}`],
    ['memory', '1M'],
  ]);
  const nbd = await connectNbd({ address: { host, port }, exportName: '' });
  await nbd.write(4096, Buffer.alloc(4096, 3));

  assert.equal(nbd.info.blockStatusOffered, false);
  assert.deepEqual(await nbd.read(4096, 4096), Buffer.alloc(4096, 3));
  await nbd.disconnect();
});
