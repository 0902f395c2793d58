import assert from 'node:assert/strict';
import test, { after } from 'node:test';
import { ProblemAnswer } from '../../src/cli/native-client.ts';
import type { Page } from '../support/native-answers.ts';
import type { Asked } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const NOBODY = '3b241101-e2bb-4255-8caf-4136c566a962';

const sites = await twoSites({ after }, { protecting: 'orders' });
const { paris, lyon } = sites;

/** Everything that a request could change, at both sites. */
async function world(): Promise<unknown> {
  return Promise.all(
    [paris, lyon].map(async (site) => {
      const names = async (path: string): Promise<readonly string[]> =>
        (await site.get<Page<{ name: string }>>(path)).items.map(({ name }) => name);
      const { epoch, holder, operation, fenced, hosts } = await site.group('orders');
      const { role, state, rpoSeconds, newestPoint } = await site.session('orders');
      return {
        group: { epoch, holder, operation, fenced, hosts },
        session: { role, state, rpoSeconds, newestPoint },
        sizes: (await site.group('orders')).volumes.map((v) => v.sizeBytes),
        volumes: await names('/volumes'),
        groups: await names('/groups'),
        hostNames: await names('/hosts'),
        jobs: (await site.jobs()).map(({ id }) => id),
      };
    }),
  );
}

const post = (path: string, body?: unknown): Asked => ({ method: 'POST', path, body });
const volume = (body: object): Asked => post('/volumes', { name: 'new', sizeBytes: MIB, ...body });
const session = (body: object): Asked => ({
  method: 'PUT',
  path: '/groups/orders/session',
  body: { peer: 'lyon', rpoSeconds: 60, ...body },
});

type Case = readonly [what: string, asked: Asked, status: number, code?: string];

const atParis: readonly Case[] = [
  ...['', ' ', '../x', 'a/b', '-a', 'ä', 'x'.repeat(65)].flatMap((name): readonly Case[] => [
    [`a volume named "${name.slice(0, 9)}"`, volume({ name }), 400, 'invalid'],
    [`a group named "${name.slice(0, 9)}"`, post('/groups', { name }), 400, 'invalid'],
    [`a host named "${name.slice(0, 9)}"`, post('/hosts', { name }), 400, 'invalid'],
  ]),
  ...[0, -512, 1, MIB + 1, 1.5, 2 ** 53, 1024 ** 5].map((sizeBytes): Case => [
    `${sizeBytes} bytes`,
    volume({ sizeBytes }),
    400,
    'invalid',
  ]),
  ['more than the disk', volume({ sizeBytes: 63 * 1024 ** 4 }), 400, 'invalid'],
  ['a size in words', volume({ sizeBytes: '1048576' }), 400, 'invalid'],
  ['no size', post('/volumes', { name: 'new' }), 400, 'invalid'],
  ['a member that nobody knows', volume({ colour: 'red' }), 400, 'invalid'],
  ['a list', post('/volumes', []), 400, 'invalid'],
  ['no body', post('/volumes'), 400, 'invalid'],
  ['a name that is taken', volume({ name: 'orders-1' }), 409, 'already_exists'],
  ['a group that exists', post('/groups', { name: 'orders' }), 409, 'already_exists'],
  ['a host that exists', post('/hosts', { name: 'app1' }), 409, 'already_exists'],
  ['a volume in no group', volume({ group: NOBODY }), 404, 'not_found'],
  ['an unknown volume', { method: 'DELETE', path: `/volumes/${NOBODY}` }, 404, 'not_found'],
  ['an unknown group', { method: 'GET', path: '/groups/nothing' }, 404, 'not_found'],
  ['an unknown job', { method: 'GET', path: `/jobs/${NOBODY}` }, 404, 'not_found'],
  ['an unknown host', { method: 'PUT', path: '/groups/orders/hosts/no' }, 404, 'not_found'],
  ['an unknown point', post(`/groups/orders/points/${NOBODY}/hash`), 404, 'not_found'],
  ['an unknown path', { method: 'GET', path: '/nothing' }, 404],
  ['a second session', session({}), 409, 'already_protected'],
  ['an RPO of 4 s', { ...session({}), method: 'PATCH', body: { rpoSeconds: 4 } }, 400, 'invalid'],
  ['a handover of the wrong type', post('/groups/orders/handover', { reverse: 3 }), 400, 'invalid'],
];

const atLyon: readonly Case[] = [
  ['a handover', post('/groups/orders/handover', {}), 409, 'not_holder'],
  ['a cycle', post('/groups/orders/session/sync'), 409, 'not_holder'],
  ['a volume in it', volume({ group: 'orders' }), 409, 'not_holder'],
  [
    'growth',
    { method: 'PATCH', path: '/volumes/orders-1', body: { sizeBytes: 128 * MIB } },
    409,
    'not_holder',
  ],
  ['a deletion', { method: 'DELETE', path: '/volumes/orders-1' }, 409, 'not_holder'],
  ['a mapping', { method: 'PUT', path: '/groups/orders/hosts/app1' }, 409, 'not_holder'],
  ['an attachment', { method: 'GET', path: '/volumes/orders-1/attachment' }, 409, 'not_holder'],
];

for (const [site, cases] of [
  [paris, atParis],
  [lyon, atLyon],
] as const) {
  test(`bad requests to ${site.name} are answered as problems and change nothing`, async (t) => {
    const writer = await sites.startWriter({ volumes: volumesOf('orders') });
    await moreWrites(writer, 50);
    const before = await world();

    for (const [what, asked, status, code] of cases) {
      await t.test(what, async () => {
        await assert.rejects(site.ask(asked), (error) => {
          assert.ok(error instanceof ProblemAnswer, String(error));
          assert.equal(error.status, status, error.message);
          if (code !== undefined) assert.equal(error.reason?.code, code, error.message);
          assert.notEqual(error.message, '');
          return true;
        });
      });
    }

    assert.deepEqual(await world(), before);
    await moreWrites(writer, 50);
    assertNothingLost(await sites.verify(writer, 'acknowledged'));
  });
}
