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

test('a door is closed with all who came in, and can be opened again', { skip }, async (t) => {
  const sockets: Socket[] = [];
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  const open = async (port: number): Promise<number> => {
    const server = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
    server.on('error', () => undefined);
    await new Promise<void>((resolve) => server.listen(port, '127.0.3.3', resolve));
    t.after(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  const enter = (port: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.3.3');
      sockets.push(socket);
      socket.once('connect', () => socket.once('close', () => resolve('closed')));
      socket.once('error', reject);
    });
  const port = await open(0);
  const inside = enter(port).catch((error: unknown) => error);
  await new Promise((resolve) => sockets[0]?.once('connect', resolve));

  await linkCut.closeListener('127.0.3.3', port);
  await linkCut.closeListener('127.0.3.3', port);

  await inside;
  await assert.rejects(enter(port), /ECONNREFUSED/);
  assert.equal(await open(port), port);
});
