import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { QmpClient } from './client.ts';
import { QmpClosed, QmpError, QmpTimeout } from './errors.ts';
import { isFields } from './fields.ts';
import type { Fields } from './fields.ts';
import { waitFor } from './wait.ts';

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

type Answer = (id: string, socket: Socket, request: Fields) => void;

/** A monitor that greets, accepts `qmp_capabilities`, and answers commands by their name. */
async function monitor(
  answers: Readonly<Record<string, Answer>>,
  greeting = GREETING,
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-qmp-'));
  const path = join(directory, 'qmp.sock');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.write(greeting);
    let held = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      held += text;
      const lines = held.split('\n');
      held = lines.pop() ?? '';
      for (const line of lines) {
        const request: unknown = JSON.parse(line);
        assert.ok(isFields(request));
        const { execute, id } = request as { readonly execute: string; readonly id: string };
        if (execute === 'qmp_capabilities') socket.write(`{"return": {}, "id": "${id}"}\r\n`);
        else answers[execute]?.(id, socket, request);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  });
  return path;
}

const give =
  (value: string): Answer =>
  (id, socket) =>
    void socket.write(`{"return": ${value}, "id": "${id}"}\r\n`);

test('replies are matched by their ids, in whatever order and pieces they come', async () => {
  const late: (() => void)[] = [];
  const path = await monitor({
    first: (id, socket) => late.push(() => give('1')(id, socket, {})),
    second: (id, socket) => {
      const reply = `{"return": {"text": "zwölf"}, "id": "${id}"}\r\n`;
      const bytes = Buffer.from(reply);
      for (const byte of bytes) socket.write(Buffer.from([byte]));
      for (const answer of late) answer();
    },
  });
  const client = await QmpClient.connect(path);

  const [first, second] = await Promise.all([client.execute('first'), client.execute('second')]);

  assert.equal(first, 1);
  assert.deepEqual(second, { text: 'zwölf' });
  assert.equal(client.phase, 'running');
  client.close();
});

test("a refusal carries the daemon's class and words", async () => {
  const path = await monitor({
    'blockdev-del': (id, socket) => {
      const error = { class: 'GenericError', desc: 'Failed to find node' };
      socket.write(`${JSON.stringify({ error, id })}\r\n`);
    },
  });
  const client = await QmpClient.connect(path);

  await assert.rejects(client.execute('blockdev-del'), (reason) => {
    assert.ok(reason instanceof QmpError);
    assert.equal(reason.errorClass, 'GenericError');
    assert.match(reason.message, /blockdev-del: Failed to find node/);
    return true;
  });
  client.close();
});

test('a reply that does not come is a timeout, and a late one is not taken for another', async () => {
  const held: (() => void)[] = [];
  const path = await monitor({
    slow: (id, socket) => held.push(() => give('"slow"')(id, socket, {})),
    quick: (id, socket) => {
      for (const answer of held) answer();
      give('"quick"')(id, socket, {});
    },
  });
  const client = await QmpClient.connect(path);

  await assert.rejects(client.execute('slow', {}, 20), QmpTimeout);
  assert.equal(await client.execute('quick'), 'quick');
  client.close();
});

test('a monitor that goes away rejects what waits, and what comes later', async () => {
  const path = await monitor({ quit: (_, socket) => socket.destroy() });
  const client = await QmpClient.connect(path);

  await assert.rejects(client.execute('quit'), QmpClosed);
  assert.equal(client.phase, 'closed');
  await assert.rejects(client.execute('query-jobs'), QmpClosed);
});

test('nobody there is told from somebody who does not greet', async () => {
  await assert.rejects(QmpClient.connect('/nonexistent/qmp.sock'), QmpClosed);
  const silent = await monitor({}, '');
  await assert.rejects(QmpClient.connect(silent, 30), QmpTimeout);
  const strange = await monitor({}, 'SSH-2.0-OpenSSH\r\n');
  await assert.rejects(QmpClient.connect(strange), QmpClosed);
});

test('events wake, however many there are, and one between look and wait is not missed', async () => {
  const events = '{"event": "BLOCK_JOB_ERROR", "data": {}}\r\n'.repeat(3000);
  const path = await monitor({
    storm: (id, socket) => {
      give('{}')(id, socket, {});
      socket.write(events);
    },
  });
  const client = await QmpClient.connect(path);
  const seen = client.eventCount;

  await client.execute('storm');
  await client.nextEventOrTimeout(seen, 60_000);
  await waitFor(client, 'all events', 5_000, () =>
    Promise.resolve(client.eventCount === 3000 ? true : undefined),
  );
  await assert.rejects(
    waitFor(client, 'what never comes', 20, () => Promise.resolve(undefined)),
    /what never comes: no reply within 20 ms/,
  );
  client.close();
});
