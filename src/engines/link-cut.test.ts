import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { test } from 'node:test';
import { linkCut } from './link-cut.ts';

const { possible, why } = await linkCut.probe();
const skip = possible ? false : why;

test('the probe says why not, or how it was seen to work', () => {
  assert.notEqual(why, '');
});

test('connections to an address are cut, and others are not', { skip }, async (t) => {
  const sockets: Socket[] = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const server = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.3.1', resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const other = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => other.listen(port, '127.0.3.2', resolve));
  t.after(() => other.close());
  const [doomed, spared] = await Promise.all(
    ['127.0.3.1', '127.0.3.2'].map(async (host) => {
      const socket = connect(port, host);
      socket.on('error', () => undefined);
      await new Promise((resolve) => socket.once('connect', resolve));
      sockets.push(socket);
      return socket;
    }),
  );
  const closed = new Promise((resolve) => doomed?.once('close', resolve));

  assert.ok((await linkCut.cutConnections('127.0.3.1', port)) >= 1);
  assert.equal(await linkCut.cutConnections('127.0.3.1', port), 0);

  await closed;
  assert.equal(spared?.destroyed, false);
});
