import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { cliWorld, withOrders, worked } from '../../test/support/cli-world.ts';
import type { SagaId } from '../domain/ids.ts';

test('a volume is made, seen, grown and deleted', async (t) => {
  const { paris$, json } = await cliWorld(t);

  assert.equal(worked(await paris$('volume list')), 'no volumes\n');
  assert.equal(
    worked(await paris$('volume create data1 --size 10G')),
    'volume data1 is there: 10 GiB\n',
  );
  assert.equal(
    worked(await paris$('volume list')),
    'NAME     SIZE  GROUP  HELD  STATE  REPLICATION  HOSTS\n' +
      'data1  10 GiB  -      here  ready  -            -\n',
  );
  const [volume] = await json<{ name: string; sizeBytes: number }[]>('volume list');
  assert.deepEqual([volume?.name, volume?.sizeBytes], ['data1', 10 * 1024 ** 3]);
  const shown = worked(await paris$('volume show data1'));
  assert.match(shown, /^size: +10 GiB \(10737418240 bytes\)$/m);
  assert.match(shown, /^attach: +nbds:\/\/127\.0\.0\.1:\d+\/data1\?tls-certificates=DIRECTORY$/m);

  assert.match(worked(await paris$('volume resize data1 --size 11G')), /11 GiB; its hosts were/);
  assert.equal(worked(await paris$('volume delete data1')), 'volume data1 is deleted\n');
  assert.equal((await paris$('volume show data1')).code, 4);
});

test('a group is protected, looked at, and handed over', async (t) => {
  const { paris$, lyon$ } = await withOrders(t);

  assert.match(worked(await paris$('group list')), /^orders +1 +1 GiB +here +to lyon, ok, 0 s of/m);
  assert.match(worked(await paris$('group show orders')), /^last cycle: +full \(first copy\)/m);
  assert.match(worked(await lyon$('group show orders')), /^replication: +from paris$/m);
  const dry = worked(await paris$('group handover orders --dry-run'));
  assert.match(dry, /^possible now: +yes$/m);
  assert.match(worked(await paris$('group list')), / here /);

  const done = worked(await paris$('group handover orders --to lyon'));
  assert.match(done, /^group orders was handed over in \d+ ms; hosts waited \d+ ms\n$/);
  assert.match(worked(await lyon$('group list')), / here +to paris/);

  const again = await paris$('group handover orders');
  assert.equal(again.code, 3);
  assert.equal(
    again.err,
    'baton: group orders is held by site lyon (epoch 2), not here\n' +
      'hint: ask the site that holds it: --site URL, or --at NAME of a pair\n',
  );
  const blocked = await paris$('group handover orders --dry-run');
  assert.equal(blocked.code, 1);
  assert.match(blocked.out, /^possible now: +no\nin the way: +group/m);
});

test('points and their hashes are the same at both sites', async (t) => {
  const { paris$, lyon$ } = await withOrders(t);

  assert.match(worked(await paris$('group points orders')), /^ +1 +2026-01-01 00:00:00Z/m);
  const hashes = worked(await paris$('group hash orders'));
  assert.match(hashes, /^data +[0-9a-f]{64}$/m);
  assert.equal(worked(await lyon$('group hash orders')), hashes);
});

test('a session is tuned, paused, resumed and ended', async (t) => {
  const { paris$, lyon$ } = await withOrders(t);

  assert.match(
    worked(await paris$('group set orders --rpo 5m --limit 50M --keep 3')),
    /RPO: +0 s of 5 min\nlimit: +50 MiB\/s\nkeeps: +3 points/,
  );
  assert.doesNotMatch(worked(await paris$('group set orders --limit none')), /limit:/);
  assert.match(worked(await paris$('peer limit lyon 20M')), /together: 20 MiB\/s at most/);
  assert.match(worked(await paris$('peer list')), /20 MiB\/s/);
  assert.equal((await paris$('peer limit lyon 1')).code, 2);
  assert.match(worked(await paris$('peer limit lyon none')), /is not limited/);
  assert.match(worked(await paris$('group pause orders')), /^state: +paused$/m);
  const paused = await paris$('group handover orders');
  assert.deepEqual([paused.code, paused.err.includes('hint: go on with cycles first')], [3, true]);
  assert.match(worked(await paris$('group resume orders')), /^state: +ok$/m);
  const unseen = await paris$('group unprotect orders --discard-copy');
  assert.deepEqual(
    [unseen.code, unseen.err.includes('copy is deleted with its 1 point')],
    [3, true],
  );
  const seen = worked(await paris$('group unprotect orders --discard-copy --dry-run'));
  const [, token = ''] = /--confirm (\w+)/.exec(seen) ?? [];
  assert.match(
    worked(await paris$(`group unprotect orders --discard-copy --confirm ${token}`)),
    /its copy is deleted/,
  );
  assert.equal(worked(await lyon$('group list')), 'no groups\n');
});

test('a volume that stands alone has the verbs of a group', async (t) => {
  const { paris$, lyon$ } = await withOrders(t);
  worked(await paris$('volume create alone --size 1G'));

  worked(await paris$('volume protect alone --to lyon --rpo 1m'));
  worked(await paris$('volume sync alone'));
  worked(await paris$('volume handover alone'));
  assert.match(worked(await lyon$('volume list')), /^alone .* here /m);

  const grouped = await paris$('volume protect data --to lyon --rpo 1m');
  assert.deepEqual([grouped.code, grouped.err.includes('in group orders')], [3, true]);
});

test('sites are paired and parted', async (t) => {
  const { paris$, lyon$ } = await cliWorld(t);
  worked(await paris$('peer remove lyon'));
  assert.equal(worked(await paris$('peer list')), 'no peers\n');

  const token = worked(await paris$('peer invite')).split('\n')[0] ?? '';
  assert.equal(worked(await lyon$(`peer join ${token}`)), 'this site and paris know each other\n');
  assert.match(worked(await paris$('peer list')), /^lyon +127\.0\.0\.2:8444/m);
});

test('jobs are listed, shown, watched and aborted', async (t) => {
  const { paris, paris$, json } = await withOrders(t);

  const jobs = await json<{ id: string; kind: string }[]>('job list --group orders');
  assert.deepEqual(
    jobs.map(({ kind }) => kind),
    ['replicate', 'protect', 'create-volume'],
  );
  assert.match(worked(await paris$('job list --last 1')), /^\S{36} +replicate +orders +done/m);
  const shown = worked(await paris$(`job show ${jobs[0]!.id}`));
  assert.match(shown, /^deliver +2026-/m);
  assert.equal(worked(await paris$(`job watch ${jobs[0]!.id}`)), 'replicate done\n');

  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  paris.trouble.hold = (message) => (message === 'receivePoint' ? held : Promise.resolve());
  const begun = worked(await paris$('group handover orders --no-wait'));
  const id = /handover (?<id>\S{36}) has begun/.exec(begun)?.groups?.['id'] ?? '';
  const busy = await paris$('group unprotect orders');
  assert.deepEqual([busy.code, busy.err.includes(`baton job watch ${id}`)], [3, true]);
  const aborted = paris$(`job abort ${id}`);
  while ((await paris.app.showJob(id as SagaId)).abortAskedBy === undefined) await turn();
  release();
  assert.match(worked(await aborted), /^handover undone/);
});

test('a job that is undone is a failure, and says why', async (t) => {
  const { paris, paris$ } = await withOrders(t);
  paris.trouble.down = true;

  const { code, err } = await paris$('group handover orders');

  assert.equal(code, 1);
  assert.match(err, /^baton: site lyon does not answer/);
  assert.match(err, /^hint: see how the link is: baton peer list$/m);
});

test('what is refused before anything began is told apart from what failed', async (t) => {
  const { paris, lyon, paris$ } = await withOrders(t);
  await paris.ports.store.transaction((tx) =>
    tx.links.insert({
      id: lyon.id,
      siteId: lyon.id,
      state: 'down',
      since: 0,
      lastHeardAt: undefined,
      detail: 'no answer',
    }),
  );

  const refused = await paris$('group handover orders -o json');

  assert.deepEqual([refused.code, refused.out], [3, '']);
  const { error, hint, problem } = JSON.parse(refused.err) as {
    readonly error: string;
    readonly hint: string;
    readonly problem: { readonly reason: { readonly code: string } };
  };
  assert.equal(error, 'site lyon does not answer: no answer');
  assert.equal(hint, 'see how the link is: baton peer list');
  assert.equal(problem.reason.code, 'peer_unreachable');
  assert.match(
    (await paris$('group handover orders --dry-run')).out,
    /in the way: +site lyon does/,
  );
});

test('progress is a line for each change, or one line that is written again', async (t) => {
  const { paris, paris$, json } = await withOrders(t);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  paris.trouble.hold = (message) => (message === 'prepareHandover' ? held : Promise.resolve());

  const plain = await paris$('group handover orders --watch', { onOut: () => release() });

  assert.match(
    worked(plain),
    /^handover running: lock-peer\nhandover done\ngroup orders was handed over/,
  );

  const [last] = (await json<{ id: string }[]>('job list --kind handover')).map(({ id }) => id);
  const live = await paris$(`job watch ${last}`, { isInteractive: true });
  assert.equal(worked(live), '\r\u001B[Khandover done\n');
});

test('Ctrl-C ends the wait, and not the job', async (t) => {
  const { paris, paris$, json } = await withOrders(t);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  paris.trouble.hold = (message) => (message === 'prepareHandover' ? held : Promise.resolve());
  const interrupt = new AbortController();

  const { code, err } = await paris$('group handover orders --watch', {
    interrupted: interrupt.signal,
    onOut: () => interrupt.abort(),
  });
  release();

  assert.equal(code, 130);
  const id = /^baton: handover goes on; follow it with: baton job watch (?<id>\S{36})\n$/.exec(err);
  worked(await paris$(`job watch ${id?.groups?.['id']}`));
  assert.match(
    (await json<{ state: string }[]>('job list --kind handover'))[0]?.state ?? '',
    /done/,
  );
});

test('users are made with a password that is asked for, and the audit log knows', async (t) => {
  const { paris$, urls, caFiles, baton } = await cliWorld(t);
  const secret = 'a long secret';

  worked(await paris$('user create ada --role viewer', { answers: [secret] }));
  assert.match(worked(await paris$('user list')), /^ada +viewer /m);
  const env = { BATON_USER: 'ada', BATON_PASSWORD: secret, BATON_CA: caFiles.paris };
  const asAda = await baton(['--site', urls.paris, 'group', 'create', 'x'], { env });
  assert.deepEqual([asAda.code, asAda.err.includes('this needs the role')], [5, true]);
  worked(await paris$('user password ada', { answers: ['another secret'] }));
  assert.equal((await baton(['--site', urls.paris, 'site'], { env })).code, 5);
  worked(await paris$('user delete ada'));

  const log = worked(await paris$('audit'));
  assert.match(log, /^\S+ \S+ +ada +127\.0\.0\.1 +POST \/api\/v1\/groups +- +403 forbidden$/m);
  assert.doesNotMatch(log, /secret/);
});

test('events are read to their end, or followed until Ctrl-C', async (t) => {
  const { paris$ } = await withOrders(t);

  const all = worked(await paris$('events'));
  assert.match(all, /^2026-01-01 00:00:00Z {2}group {4}inserted {2}orders$/m);
  assert.match(all, /^\S+ \S+ {2}job {6}changed {3}create-volume {2}done$/m);
  const lines = worked(await paris$('events -o json'))
    .trim()
    .split('\n');
  assert.equal(lines.length, all.trim().split('\n').length);
  assert.ok(lines.every((line) => 'kind' in (JSON.parse(line) as object)));

  const interrupt = new AbortController();
  const following = paris$('events --follow --after 0', {
    interrupted: interrupt.signal,
    onOut: (text) => text.includes('later') && interrupt.abort(),
  });
  worked(await paris$('group create later'));
  assert.match(worked(await following), /inserted {2}later$/m);
});
