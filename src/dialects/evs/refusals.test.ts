import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  act,
  evsPair,
  groupIs,
  GROUPS,
  makeDisk,
  makeGroup,
  makePair,
  member,
  PAIRS,
} from '../../../test/support/evs-api.ts';
import type { EvsAnswer, EvsApi } from '../../../test/support/evs-api.ts';
import { PROJECT_ID } from './ids.ts';

const VOLUMES = '/volumes';

/** All that the API shows of both sites, at both endpoints. */
async function seen(apis: readonly EvsApi[]): Promise<string> {
  const pictures = [];
  for (const api of apis) {
    for (const path of [`${VOLUMES}/detail`, PAIRS, GROUPS]) {
      pictures.push((await api.call('GET', path)).text);
    }
  }
  return pictures.join('\n');
}

interface Refused {
  readonly what: string;
  readonly ask: () => Promise<EvsAnswer>;
  readonly status: number;
  readonly fault: string;
}

async function assertRefused(apis: readonly EvsApi[], cases: readonly Refused[]): Promise<void> {
  for (const { what, ask, status, fault } of cases) {
    const before = await seen(apis);
    const answer = await ask();
    assert.equal(answer.status, status, `${what}: ${answer.status} ${answer.text}`);
    const said = answer.body[fault] as { code: number; message: string } | undefined;
    assert.equal(said?.code, status, `${what}: ${answer.text}`);
    assert.ok(said.message.length > 10, what);
    assert.match(String(answer.headers['x-openstack-request-id']), /^req-/, what);
    assert.equal(await seen(apis), before, `${what} changed something`);
  }
}

const bad = (what: string, ask: Refused['ask']): Refused => ({
  what,
  ask,
  status: 400,
  fault: 'badRequest',
});
const conflict = (what: string, ask: Refused['ask']): Refused => ({
  what,
  ask,
  status: 409,
  fault: 'conflictingRequest',
});
const missing = (what: string, ask: Refused['ask']): Refused => ({
  what,
  ask,
  status: 404,
  fault: 'itemNotFound',
});

const NOBODY = '00000000-0000-4000-8000-000000000000';

test('what is wrong with a disk is refused in words, and nothing changes', async (t) => {
  const { here, there } = await evsPair(t);
  const id = await makeDisk(here, 'data', 'paris');
  const create = (volume: unknown) => () => here.call('POST', VOLUMES, { volume });

  await assertRefused(
    [here, there],
    [
      bad('no body', () => here.call('POST', VOLUMES)),
      bad('no member', () => here.call('POST', VOLUMES, {})),
      bad('no size', create({ name: 'x' })),
      bad('size 0', create({ size: 0 })),
      bad('a size of words', create({ size: 'big' })),
      bad('another zone', create({ size: 1, availability_zone: 'berlin' })),
      bad('a name with blanks', create({ size: 1, name: 'a b' })),
      bad('a long name', create({ size: 1, name: 'a'.repeat(256) })),
      bad('an image', create({ size: 1, imageRef: 'cirros' })),
      bad('metadata', create({ size: 1, metadata: { a: 'b' } })),
      missing('another type', create({ size: 1, volume_type: 'gold' })),
      conflict('a name that is taken', create({ size: 1, name: 'data' })),
      missing('no such disk', () => here.call('GET', `${VOLUMES}/${NOBODY}`)),
      missing('a name for an id', () => here.call('GET', `${VOLUMES}/data`)),
      missing('none to delete', () => here.call('DELETE', `${VOLUMES}/${NOBODY}`)),
      bad('an action', () => here.call('POST', `${VOLUMES}/${id}/action`, { 'os-extend': {} })),
      bad('no action', () => here.call('POST', `${VOLUMES}/${id}/action`, {})),
      bad('a limit below 0', () => here.call('GET', `${VOLUMES}?limit=-1`)),
      bad('an unknown sort key', () => here.call('GET', `${VOLUMES}?sort=colour`)),
      bad('an unknown direction', () => here.call('GET', `${VOLUMES}?sort=name:up`)),
      missing('an unknown marker', () => here.call('GET', `${VOLUMES}?marker=${NOBODY}`)),
    ],
  );
});

test('what is wrong with a pair is refused in words, and nothing changes', async (t) => {
  const { here, there } = await evsPair(t);
  const pair = await makePair(here);
  const [a, b] = String(
    member(await here.call('GET', `${PAIRS}/${pair}`), 200)['volume_ids'],
  ).split(',');
  const [p, q] = [await makeDisk(here, 'p', 'paris'), await makeDisk(here, 'q', 'lyon')];
  const other = await makeDisk(here, 'other', 'paris');
  const big = member(
    await here.call('POST', VOLUMES, {
      volume: { name: 'big', size: 2, availability_zone: 'lyon' },
    }),
    202,
  );
  const good = {
    volume_ids: [p, q],
    priority_station: 'paris',
    replication_model: 'hypermetro',
  };
  const create = (change: object) => () =>
    here.call('POST', PAIRS, { replication: { ...good, ...change } });

  await assertRefused(
    [here, there],
    [
      bad('no member', () => here.call('POST', PAIRS, { pair: good })),
      bad('no disks', create({ volume_ids: undefined })),
      bad('one disk', create({ volume_ids: [p] })),
      bad('three disks', create({ volume_ids: [p, q, other] })),
      bad('two of one zone', create({ volume_ids: [p, other] })),
      bad('twice the same', create({ volume_ids: [p, p] })),
      bad('sizes that differ', create({ volume_ids: [p, big['id']] })),
      bad('no station', create({ priority_station: undefined })),
      bad('another station', create({ priority_station: 'berlin' })),
      bad('another model', create({ replication_model: 'async' })),
      bad('an unknown member', create({ colour: 'red' })),
      bad('a name of another type', create({ name: 7 })),
      missing('a disk that is not there', create({ volume_ids: [p, NOBODY] })),
      conflict('a disk of another pair', create({ volume_ids: [a, q] })),
      conflict('the other disk of another pair', create({ volume_ids: [p, b] })),
      bad('a disk of a pair to delete', () => here.call('DELETE', `${VOLUMES}/${a}`)),
      bad('its other disk to delete', () => there.call('DELETE', `${VOLUMES}/${b}`)),
      missing('no such pair', () => here.call('GET', `${PAIRS}/${NOBODY}`)),
      missing('none to delete', () => here.call('DELETE', `${PAIRS}/${NOBODY}`)),
      bad('a limit of 0', () => here.call('GET', `${PAIRS}?limit=0`)),
      {
        what: 'a wrong method',
        ask: () => here.call('PUT', PAIRS),
        status: 405,
        fault: 'badMethod',
      },
    ],
  );
});

test('what is wrong with a group is refused in words, and nothing changes', async (t) => {
  const { here, there } = await evsPair(t);
  const id = await makeGroup(here);
  const free = await makePair(here, 'free');
  const { replication_ids: taken } = member(await here.call('GET', `${GROUPS}/${id}`), 200);
  const name = 'replication_consistency_group';
  const good = {
    name: 'other',
    replication_ids: [free],
    priority_station: 'paris',
    replication_model: 'hypermetro',
  };
  const create = (change: object) => () =>
    here.call('POST', GROUPS, { [name]: { ...good, ...change } });
  const update = (change: object) => () => here.call('PUT', `${GROUPS}/${id}`, { [name]: change });
  const action = (body: unknown) => () => here.call('POST', `${GROUPS}/${id}/action`, body);

  await assertRefused(
    [here, there],
    [
      bad('no pairs', create({ replication_ids: [] })),
      bad('another station', create({ priority_station: 'lyon' })),
      bad('another model', create({ replication_model: 'async' })),
      bad('a name with blanks', create({ name: 'a b' })),
      conflict('a name that is taken', create({ name: 'orders' })),
      missing('a pair that is not there', create({ replication_ids: [NOBODY] })),
      conflict('a pair of another group', create({ replication_ids: taken })),
      bad('a station to change', update({ priority_station: 'lyon' })),
      conflict('a pair of another group to add', update({ add_replication_ids: taken })),
      missing('a pair of no group to remove', update({ remove_replication_ids: [free] })),
      conflict('pairs inside, to delete', () => here.call('DELETE', `${GROUPS}/${id}`)),
      conflict('a pair of a group to delete', () =>
        here.call('DELETE', `${PAIRS}/${String((taken as string[])[0])}`),
      ),
      bad('no action', action({})),
      bad('two actions', action({ 'os-a': null, 'os-b': null })),
      bad('an unknown action', action({ 'os-extend-replication-volumes': null })),
      bad('an action with a value', action({ 'os-sync-replication-consistency-group': true })),
      conflict('reverse before it is synchronized', () => act(here, id, 'reverse')),
      conflict('failover while all is well', () => act(here, id, 'failover')),
      conflict('reprotect without a failover', () => act(here, id, 'reprotect')),
      missing('no such group', () => act(here, NOBODY, 'sync')),
      {
        what: 'a wrong method',
        ask: () => here.call('PATCH', `${GROUPS}/${id}`, {}),
        status: 405,
        fault: 'badMethod',
      },
      {
        what: 'an Accept without JSON',
        ask: () =>
          here.ask({
            method: 'GET',
            path: `/v2/${PROJECT_ID}${GROUPS}/${id}`,
            headers: { accept: 'application/xml' },
          }),
        status: 406,
        fault: 'computeFault',
      },
      {
        what: 'a body of 10 MB',
        ask: () => here.call('POST', GROUPS, { [name]: { description: 'a'.repeat(10_000_000) } }),
        status: 413,
        fault: 'overLimit',
      },
      {
        what: 'a body of another type',
        ask: () =>
          here.ask({
            method: 'POST',
            path: `/v2/${PROJECT_ID}${GROUPS}`,
            body: '<group/>',
            headers: { 'content-type': 'application/xml' },
          }),
        status: 415,
        fault: 'badMediaType',
      },
      bad('broken JSON', () =>
        here.ask({
          method: 'POST',
          path: `/v2/${PROJECT_ID}${GROUPS}`,
          body: '{"replication',
          headers: { 'content-type': 'application/json' },
        }),
      ),
      missing('the extension below version 3', () =>
        here.ask({ method: 'GET', path: `/v3/${PROJECT_ID}${GROUPS}` }),
      ),
    ],
  );
});

test('what needs a silent site is a 503, what its silence forbids a 409, and nothing changes', async (t) => {
  const { here, there, paris, lyon } = await evsPair(t);
  const id = await makeGroup(here);
  assert.equal((await act(here, id, 'sync')).status, 200);
  await groupIs(here, id, { replication_status: 'copying' });
  for (const { trouble } of [paris, lyon]) trouble.down = true;
  await groupIs(here, id, { fault_level: '5', replication_status: 'inactive' });
  const unavailable = (what: string, ask: Refused['ask']): Refused => ({
    what,
    ask,
    status: 503,
    fault: 'serviceUnavailable',
  });

  await assertRefused(
    [here, there],
    [
      conflict('reverse', () => act(here, id, 'reverse')),
      conflict('failover to the silent zone', () => act(here, id, 'failover')),
      conflict('reverse there', () => act(there, id, 'reverse')),
      conflict('failover without one complete copy', () => act(there, id, 'failover')),
      unavailable('stop there', () => act(there, id, 'stop')),
      unavailable('a disk in the silent zone', () =>
        here.call('POST', VOLUMES, { volume: { size: 1, availability_zone: 'lyon' } }),
      ),
    ],
  );
});
