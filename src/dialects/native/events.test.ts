import assert from 'node:assert/strict';
import { on } from 'node:events';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryWorld } from '../../../test/support/memory-site.ts';
import { nativeApi } from '../../../test/support/native-api.ts';
import type { NativeApi } from '../../../test/support/native-api.ts';
import type { App } from '../../app/app.ts';
import { eventStream } from './event-stream.ts';
import type { EventStreamOptions } from './event-stream.ts';

interface SeenEvent {
  readonly id: number;
  readonly event: string;
  readonly data: { readonly change?: string; readonly row?: { readonly name?: string } };
}

async function paris(t: TestContext): Promise<NativeApi> {
  return nativeApi(t, await memoryWorld(t).addSite('paris'));
}

/** Reads events until `count` have come, then goes away. */
async function listen(
  { http, token }: NativeApi,
  count: number,
  from: { readonly query?: string; readonly lastEventId?: string } = {},
): Promise<readonly SeenEvent[]> {
  const response = await http.inject({
    url: `/api/v1/events${from.query ?? ''}`,
    headers: {
      authorization: `Bearer ${token}`,
      ...(from.lastEventId !== undefined && { 'last-event-id': from.lastEventId }),
    },
    payloadAsStream: true,
  });
  assert.equal(response.headers['content-type'], 'text/event-stream');
  const stream = response.stream();
  let text = '';
  for await (const [chunk] of on(stream, 'data') as AsyncIterable<[Buffer]>) {
    text += chunk.toString();
    const seen = parse(text);
    if (seen.length >= count) {
      stream.destroy();
      return seen.slice(0, count);
    }
  }
  throw new Error('the stream ended');
}

function parse(text: string): readonly SeenEvent[] {
  const blocks = text.split('\n\n').slice(0, -1);
  return blocks
    .filter((block) => !block.startsWith(':'))
    .map((block) => {
      const fields = new Map(
        block.split('\n').map((line) => {
          const at = line.indexOf(': ');
          return [line.slice(0, at), line.slice(at + 2)] as const;
        }),
      );
      return {
        id: Number(fields.get('id')),
        event: fields.get('event') ?? '',
        data: JSON.parse(fields.get('data') ?? '{}') as SeenEvent['data'],
      };
    });
}

test('what changes is told as it happens, in the words of the API', async (t) => {
  const api = await paris(t);
  const heard = listen(api, 3);

  await api.call('POST', '/groups', { name: 'orders' });
  await api.call('POST', '/hosts', { name: 'app1' });
  await api.call('DELETE', '/hosts/app1');

  const events = await heard;
  assert.deepEqual(
    events.map(({ event, data }) => [event, data.change, data.row?.name]),
    [
      ['group', 'inserted', 'orders'],
      ['host', 'inserted', 'app1'],
      ['host', 'removed', undefined],
    ],
  );
  assert.equal(JSON.stringify(events).includes('assword'), false);
});

test('who comes back gets what was missed, and nothing twice', async (t) => {
  const api = await paris(t);
  for (const name of ['a', 'b', 'c']) await api.call('POST', '/groups', { name });
  const all = await listen(api, 3, { query: '?after=0' });

  const later = await listen(api, 2, { lastEventId: String(all[0]!.id) });

  assert.deepEqual(later, all.slice(1));
});

test('who was away too long is told to read everything again', async (t) => {
  const api = await paris(t);
  await api.call('POST', '/groups', { name: 'a' });
  const last = await api.site.app.events.lastEvent();

  const [reset] = await listen(api, 1, { lastEventId: '999999' });

  assert.deepEqual([reset?.event, reset?.id], ['reset', last]);
});

test('a gap in what the store still has is a reset, and then what comes next', async () => {
  const kept = [event(41), event(42)];
  const stream = eventStream({ ...options, source: source(kept), after: 7 });

  const texts = [await stream.next(), await stream.next()].map(({ value }) => String(value));
  await stream.return(undefined);

  assert.match(texts[0]!, /^: /);
  assert.match(texts[1]!, /^id: 42\nevent: reset\n/);
});

test('a client that takes nothing is dropped, and costs one batch of memory', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let dropped = 0;
  const many = Array.from({ length: 500 }, (_, index) => event(index + 1));
  let asked = 0;
  const counting = { ...source(many), eventsAfter: readFrom(many, () => (asked += 1)) };
  const stream = eventStream({
    ...options,
    source: counting,
    after: 0,
    tooSlow: () => (dropped += 1),
  });
  await stream.next();
  await stream.next();

  t.mock.timers.tick(29_999);
  assert.deepEqual([dropped, asked], [0, 2]);
  t.mock.timers.tick(1);
  assert.deepEqual([dropped, asked], [1, 2]);
  await stream.return(undefined);
});

test('in silence a heartbeat comes, and asks whether the client is still welcome', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let welcome = true;
  const stillWelcome = (): Promise<unknown> =>
    welcome ? Promise.resolve() : Promise.reject(new Error('the token has expired'));
  const stream = eventStream({ ...options, source: source([]), after: 0, stillWelcome });
  await stream.next();

  const beat = stream.next();
  await passing(t, 15_000);
  assert.equal((await beat).value, ': still here\n\n');

  welcome = false;
  const end = assert.rejects(stream.next(), /expired/);
  await passing(t, 15_000);
  await end;
});

test('a stream ends when the site closes', async (t) => {
  const api = await paris(t);
  const response = await api.http.inject({
    url: '/api/v1/events',
    headers: { authorization: `Bearer ${api.token}` },
    payloadAsStream: true,
  });
  const ended = Promise.withResolvers<void>();
  response.stream().on('data', () => undefined);
  response.stream().once('end', ended.resolve);

  await api.http.close();

  await ended.promise;
});

/** Lets the generator come to its wait, then passes the time. */
async function passing(t: TestContext, ms: number): Promise<void> {
  for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
  t.mock.timers.tick(ms);
}

type Event = Awaited<ReturnType<App['events']['eventsAfter']>>[number];

function event(sequence: number): Event {
  const row = { id: 'h', name: 'app1', createdAt: 0 };
  return { sequence, at: 0, collection: 'hosts', id: 'h', change: 'changed', row };
}

function readFrom(kept: readonly Event[], onRead: () => void): App['events']['eventsAfter'] {
  return async (sequence, limit) => {
    onRead();
    return kept.filter((e) => e.sequence > sequence).slice(0, limit);
  };
}

function source(kept: readonly Event[]): App['events'] {
  return {
    eventsAfter: readFrom(kept, () => undefined),
    lastEvent: () => Promise.resolve(kept.at(-1)?.sequence ?? 0),
    onCommit: () => () => undefined,
  };
}

const options: Omit<EventStreamOptions, 'source' | 'after'> = {
  stillWelcome: () => Promise.resolve(),
  signal: new AbortController().signal,
  tooSlow: () => undefined,
};
