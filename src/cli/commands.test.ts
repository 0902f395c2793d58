import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import { cliWorld, noBridges } from '../../test/support/cli-world.ts';
import type { CliResult, CliWorld } from '../../test/support/cli-world.ts';
import type { SagaId } from '../domain/ids.ts';
import type { Bridges } from './attach-command.ts';
import { readBundle } from './host-bundle.ts';

function worked({ code, out, err }: CliResult): string {
  assert.deepEqual({ code, err }, { code: 0, err: '' });
  return out;
}

/** Group `orders` with volume `data`, replicated to Lyon. */
async function withOrders(t: TestContext): Promise<CliWorld> {
  const world = await cliWorld(t);
  worked(await world.paris$('group create orders'));
  worked(await world.paris$('volume create data --size 1G --group orders'));
  worked(await world.paris$('group protect orders --to lyon --rpo 30s'));
  worked(await world.paris$('group sync orders'));
  return world;
}

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
  assert.match(
    worked(await paris$('group unprotect orders --discard-copy')),
    /its copy is deleted/,
  );
  assert.equal(worked(await lyon$('group list')), 'no groups\n');
});

test('a failover needs the confirmation that its dry run prints', async (t) => {
  const { lyon$ } = await withOrders(t);

  const refused = await lyon$('group failover orders');
  assert.equal(refused.code, 3);
  const hint = /--confirm (?<token>\w+)/.exec(refused.err)?.groups?.['token'];
  const dry = worked(await lyon$('group failover orders --dry-run'));
  assert.match(dry, new RegExp(`^confirmation: +--confirm ${hint}$`, 'm'));

  assert.match(worked(await lyon$(`group failover orders --confirm ${hint}`)), /is held here/);
  assert.match(worked(await lyon$('group show orders')), /lyon \(here\), epoch 2, FORCED/);
  worked(await lyon$('group acknowledge orders'));
  assert.doesNotMatch(worked(await lyon$('group show orders')), /FORCED/);
  assert.equal(worked(await lyon$('fork list')), 'no forks\n');
});

test('at a terminal a failover is shown and asked about; --yes is for scripts', async (t) => {
  const { lyon$ } = await withOrders(t);

  const asked = { isInteractive: true, answers: ['n'] };
  const no = await lyon$('group failover orders', asked);
  assert.deepEqual([no.code, no.err.includes('nothing was done')], [130, true]);
  assert.match(no.err, /^lost writes: +writes of the last \d+ s$/m);
  assert.match(worked(await lyon$('group show orders')), /paris, epoch 1$/m);

  const yes = { isInteractive: true, answers: ['y'] };
  const taken = await lyon$('group failover orders --commit-after 1h', yes);
  assert.deepEqual([taken.code, taken.out.includes('is held here')], [0, true]);
  worked(await lyon$('group commit orders'));
  const { out } = await lyon$('group points orders -o json');
  const [point] = JSON.parse(out) as readonly { readonly id: string }[];
  const restore = `group restore orders --point ${point?.id}`;
  assert.equal((await lyon$(restore)).code, 3);
  assert.match(worked(await lyon$(`${restore} --yes`)), /is what it was then/);
  assert.match(worked(await lyon$(`${restore} --dry-run`)), /^should take: +\d+ s$/m);
});

test('a failover with a term is shown as provisional, and is committed or rolled back', async (t) => {
  const { lyon$, paris$ } = await withOrders(t);
  const dry = worked(await lyon$('group failover orders --dry-run'));
  const token = /--confirm (?<token>\w+)/.exec(dry)?.groups?.['token'];

  const done = worked(await lyon$(`group failover orders --commit-after 4h --confirm ${token}`));
  assert.match(done, /^for 4 h: baton group rollback orders, or commit orders$/m);
  const shown = worked(await lyon$('group show orders'));
  assert.match(shown, /epoch 2, FORCED, PROVISIONAL$/m);
  assert.match(
    shown,
    /^provisional: +it can be rolled back to paris until 2026-01-01 04:00:0\dZ$/m,
  );

  const blocked = await lyon$('group rollback orders --dry-run');
  assert.equal(blocked.code, 1);
  assert.match(blocked.out, /^in the way: +the other site has not set its own history aside yet$/m);
  assert.equal((await lyon$('group rollback orders')).code, 3);
  assert.equal((await lyon$('group reprotect orders')).code, 3);
  worked(await lyon$('group commit orders'));
  assert.doesNotMatch(worked(await lyon$('group show orders')), /PROVISIONAL/);
  assert.equal((await lyon$('group commit orders')).code, 3);
  assert.equal((await paris$('group commit orders')).code, 3);
});

test('a drill writes its report, which is verified offline and not when somebody changed it', async (t) => {
  const { lyon$, paris$, baton, directory } = await withOrders(t);
  const out = join(directory, 'drills');

  assert.equal((await paris$(`drill run orders --out ${out}`)).code, 3);
  const told = worked(await lyon$(`drill run orders --out ${out}`));
  assert.match(told, /^verdict: +passed$/m);
  assert.match(told, /^group +the same bytes at both sites +passed/m);
  assert.match(worked(await lyon$('drill list')), /orders +passed +3 +admin/);

  const files = [...told.matchAll(/^written: (?<file>.*)$/gm)].map(
    ({ groups }) => groups?.['file'] ?? '',
  );
  assert.equal(files.length, 2);
  for (const file of files) {
    const said = worked(await baton(['drill', 'verify', file]));
    assert.match(said, /^signed by: +site lyon, vouched for by ([0-9A-F]{2}:){31}[0-9A-F]{2}$/m);
    const changed = join(directory, 'changed');
    await writeFile(changed, (await readFile(file, 'utf8')).replaceAll('"admin"', '"nobody"'));
    const refused = await baton(['drill', 'verify', changed]);
    assert.deepEqual([refused.code, refused.err.includes('the report was changed')], [1, true]);
  }
});

test("a host's key is in files that only their owner reads, and nowhere else", async (t) => {
  const { paris$, json, directory } = await withOrders(t);
  const out = join(directory, 'app1');

  const said = worked(await paris$(`host create app1 --out ${out}`));
  const files = ['ca-cert.pem', 'client-cert.pem', 'client-key.pem'];
  for (const file of files) assert.equal((await stat(join(out, file))).mode & 0o777, 0o600);
  assert.equal((await stat(out)).mode & 0o777, 0o700);
  assert.match(await readFile(join(out, 'client-key.pem'), 'utf8'), /PRIVATE KEY/);
  assert.match(said, new RegExp(`tls-certificates=${out}`));
  const again = await json<object>(`host certificate app1 --out ${out}`);
  assert.doesNotMatch(said + JSON.stringify(again), /PRIVATE KEY/);

  worked(await paris$('group map orders app1'));
  assert.match(worked(await paris$('group list')), / app1$/m);
  const used = await paris$('host delete app1');
  assert.deepEqual([used.code, used.err.includes('hint: unmap')], [3, true]);
  worked(await paris$('group unmap orders app1'));
  worked(await paris$('host delete app1'));
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

test('a volume is attached by a bridge that ends with Ctrl-C', async (t) => {
  const { paris$ } = await withOrders(t);
  const interrupt = new AbortController();
  const requests: object[] = [];
  const { promise: ended, resolve: end } = Promise.withResolvers<{
    closed: boolean;
    said: string;
  }>();
  const bridges = {
    ...noBridges,
    open: (request: object) => {
      requests.push(request);
      setImmediate(() => interrupt.abort());
      const close = async (): Promise<void> => end({ closed: true, said: '' });
      return Promise.resolve({ uri: 'nbd+unix:///data?socket=/s', ended, close });
    },
    end: () => Promise.resolve(true),
  };

  const options = { bridges, interrupted: interrupt.signal };
  const said = worked(await paris$('attach data --socket /s --credentials /c', options));

  assert.equal(said, 'nbd+unix:///data?socket=/s\nCtrl-C ends it\n');
  const [request] = requests as { exportName: string; socketPath: string }[];
  assert.deepEqual([request?.exportName, request?.socketPath], ['data', '/s']);
  assert.equal(worked(await paris$('detach --socket /s', { bridges })), '/s is closed\n');
});

test('an enrolled host gets one bundle for both sites, and what cannot be meant is refused', async (t) => {
  const { paris$, baton, directory } = await withOrders(t);
  const out = join(directory, 'bundle');

  const said = worked(await paris$(`host enrol app9 --out ${out}`));

  assert.match(said, /known at paris and lyon/);
  const { host, sites } = await readBundle(out);
  assert.equal(host, 'app9');
  assert.deepEqual(
    sites.map(({ name }) => name),
    ['paris', 'lyon'],
  );
  for (const { credentialsDirectory } of sites) {
    const { mode } = await stat(join(credentialsDirectory, 'client-key.pem'));
    assert.equal(mode & 0o777, 0o600);
  }
  const refused = async (line: string, sentence: RegExp): Promise<void> => {
    const { code, err } = await baton(line.split(' '));
    assert.equal(code, 2, err);
    assert.match(err, sentence);
  };
  await refused(`attach data --bundle ${directory} --socket /v`, /holds no bundle/);
  await refused(`attach data --bundle ${out}`, /wanted one of --socket DIRECTORY, --fuse/);
  await refused(`attach data --bundle ${out} --socket /v --fuse /f`, /--fuse DIRECTORY and --nbd/);
  await refused('attach data --nbd --credentials /c', /--nbd is for --bundle/);
  await refused('attach data --fuse /f --credentials /c', /--fuse is for --bundle/);
  await refused(`attach data --bundle ${out} --socket /v --read-only`, /--read-only is not for/);
});

test('volumes are followed by an agent that Ctrl-C detaches, and SIGTERM leaves attached', async (t) => {
  const { paris$, baton, directory } = await withOrders(t);
  const out = join(directory, 'bundle');
  worked(await paris$(`host enrol app9 --out ${out}`));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const done: string[] = [];
    const interrupt = new AbortController();
    const bridges: Bridges = {
      ...noBridges,
      follow: ({ volumes, directory: where, onChange }) => {
        const [name = ''] = volumes;
        const path = `${where}/${name}`;
        const why = 'writes may be missing';
        onChange({ name, path, state: 'closed', why, acceptance: 'p7' });
        setImmediate(() => interrupt.abort(signal));
        return Promise.resolve({
          askedToLeave: new Promise<void>(() => undefined),
          volumes: () => [{ name, path }],
          leave: async () => void done.push('left'),
        });
      },
      detachAll: async (state) => {
        done.push(`detached ${state}`);
        return [];
      },
    };
    const line = `attach data --bundle ${out} --socket /v --state /s`;
    const {
      code,
      out: told,
      err,
    } = await baton(line.split(' '), {
      bridges,
      interrupted: interrupt.signal,
    });

    assert.equal(code, 0, err);
    assert.equal(told, '/v/data\nCtrl-C detaches\n');
    assert.equal(
      err,
      'data: closed: writes may be missing; to go on with what there is: --accept p7\n',
    );
    assert.deepEqual(done, signal === 'SIGINT' ? ['left', 'detached /s'] : ['left']);
  }
});
