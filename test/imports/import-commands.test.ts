import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { cliWorld } from '../support/cli-world.ts';
import type { CliResult, CliWorld } from '../support/cli-world.ts';
import { keepImports, newMemory } from '../../src/app/keep-imports.ts';
import { hasEnded } from '../../src/domain/saga-record.ts';
import { parseEndpoint } from '../../src/cli/source-commands.ts';

const MIB = 1024 * 1024;

function worked({ code, out, err }: CliResult): string {
  assert.deepEqual({ code, err }, { code: 0, err: '' });
  return out;
}

/** Source `old` with two volumes, and a host. */
async function withSource(t: TestContext): Promise<CliWorld> {
  const world = await cliWorld(t);
  for (const disk of ['disk1', 'disk2']) world.paris.source.addVolume(disk, MIB, [[1, 1]]);
  await world.paris.app.createHost({ name: 'app1' });
  worked(await world.paris$('source add old nbd://old-array:10809'));
  return world;
}

/** As the import watch does, each round's jobs to their end. */
async function rounds({ paris }: CliWorld, count = 8): Promise<void> {
  for (let round = 0; round < count; round += 1) {
    await keepImports(paris.ports, newMemory());
    for (const job of await paris.app.listJobs({})) {
      if (!hasEnded(job)) await paris.ended(job.id);
    }
  }
}

test('a source is added once it has answered, listed with its volumes, and forgotten', async (t) => {
  const { paris, paris$ } = await withSource(t);

  assert.match(worked(await paris$('source list')), /^old +nbd:\/\/old-array:10809 +yes +2026/m);
  assert.equal(
    worked(await paris$('source volumes old')),
    'LOCATOR   SIZE\ndisk1    1 MiB\ndisk2    1 MiB\n',
  );
  paris.source.isReachable = false;
  const checked = await paris$('source check old');
  assert.deepEqual([checked.code, checked.out], [1, '']);
  assert.match(checked.err, /source old cannot be used: nobody answers there/);
  assert.match(worked(await paris$('source show old')), /^answered: +no/m);
  const refused = await paris$('source add other nbd://nowhere:1');
  assert.deepEqual([refused.code, /hint: .*source volumes/.test(refused.err)], [3, true]);
  assert.equal(worked(await paris$('source remove old')), 'source old is forgotten\n');
  assert.equal(worked(await paris$('source list')), 'no sources\n');
});

test('a source is an address in one word, and what cannot be meant is told', async (t) => {
  assert.deepEqual(parseEndpoint('nbds://[fd00::1]:99'), {
    kind: 'nbd',
    host: 'fd00::1',
    port: 99,
  });
  assert.deepEqual(parseEndpoint('iscsi://10.0.0.7'), { kind: 'iscsi', host: '10.0.0.7' });
  assert.deepEqual(parseEndpoint('/dev/my%20disks'), { kind: 'file', directory: '/dev/my disks' });
  assert.deepEqual(parseEndpoint('https://web.example/a'), {
    kind: 'http',
    baseUrl: 'https://web.example/a',
  });
  const { paris$ } = await cliWorld(t);
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['ftp://host', /wanted a source such as/],
    ['old-array', /wanted a source such as/],
    ['nbd://host/export', /wanted a source such as/],
    ['nbd://host --user x', /--user is for a source at iscsi/],
    ['nbd://host --tls-ca x', /--tls-ca is for a source at nbds:/],
    ['nbds://host', /wanted --tls-ca FILE/],
    ['nbds://host --tls-ca /nowhere', /nowhere cannot be read/],
  ];
  for (const [line, sentence] of wrong) {
    const { code, err } = await paris$(`source add bad ${line}`);
    assert.equal(code, 2, line);
    assert.match(err, sentence);
  }
});

test('a password is asked for, kept encrypted, and shown to nobody', async (t) => {
  const world = await withSource(t);
  const { paris, paris$, directory } = world;
  paris.importer.checkSource = () => Promise.resolve();
  const secret = 'a long CHAP secret';
  const line =
    'source add san iscsi://10.0.0.7 --user baton --initiator iqn.2026-11.org.example:us';

  worked(await paris$(line, { answers: [secret] }));
  const key = join(directory, 'key.pem');
  const pem = (label: string): string => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;
  await writeFile(key, pem('PRIVATE KEY'));
  const certificate = join(directory, 'certificate.pem');
  await writeFile(certificate, pem('CERTIFICATE'));
  const files = `--tls-ca ${certificate} --tls-cert ${certificate} --tls-key ${key}`;
  worked(await paris$(`source add vault nbds://10.0.0.6 --tls-name vault.example ${files}`));

  const shown = worked(await paris$('source show san'));
  assert.match(shown, /^user: +baton$/m);
  assert.match(shown, /^secret: +kept encrypted$/m);
  assert.match(worked(await paris$('source list')), /^vault +nbds:\/\/10\.0\.0\.6:10809/m);
  const all = shown + worked(await paris$('source list -o json'));
  assert.doesNotMatch(all + JSON.stringify(paris.logged), /a long CHAP secret|PRIVATE KEY/);
});

test('a volume is imported, watched, and cut over; the next step is always told', async (t) => {
  const world = await withSource(t);
  const { paris$, json } = world;

  const begun = worked(await paris$('import create data=disk1 --from old --host app1 --limit 50M'));
  assert.match(begun, /^import data is queued: volume data from source old$/m);
  assert.match(begun, /^to follow it: baton import watch data$/m);
  await rounds(world);
  assert.equal(
    worked(await paris$('import watch data')),
    'import data ready\nnext: make it the volume: baton import cutover data\n',
  );
  const shown = worked(await paris$('import show data'));
  assert.match(shown, /^volume: +data, 1 MiB, from disk1 \(raw\)$/m);
  assert.match(shown, /^compared: +equal, 1 MiB, .* sha256 \S+$/m);
  assert.match(shown, /^limit: +50 MiB\/s$/m);
  assert.doesNotMatch(worked(await paris$('import set data --limit none')), /^limit/m);

  assert.equal(
    worked(await paris$('import cutover data')),
    'import data is cut over; hosts waited 1 ms\n',
  );
  assert.match(worked(await paris$('import list')), /^data +old +data +1 MiB +completed$/m);
  const late = await paris$('import cancel data');
  assert.deepEqual([late.code, late.err.includes('only when')], [3, true]);
  worked(await paris$('import delete data'));
  assert.deepEqual(await json('import list'), []);
});

test('a way back is asked for with the import, shown while it is open, and taken or let go', async (t) => {
  const world = await withSource(t);
  const { paris$ } = world;
  for (const [name, disk] of [
    ['data', 'disk1'],
    ['log', 'disk2'],
  ]) {
    worked(await paris$(`import create ${name}=${disk} --from old --host app1 --rollback-for 24h`));
    await rounds(world);
    const ahead = /^way back: +for 24 h after the cut-over$/m;
    assert.match(worked(await paris$(`import show ${name}`)), ahead);
    worked(await paris$(`import cutover ${name}`));
    await rounds(world);
  }
  const shown = worked(await paris$('import show data'));
  assert.match(shown, /^way back: +until 2026\S+ \S+; the source is in step$/m);
  assert.match(shown, /^next: +back to the source: baton import rollback data; or let it go/m);
  const held = await paris$('import delete data');
  assert.deepEqual([held.code, held.err.includes('finish it first')], [3, true]);

  assert.match(
    worked(await paris$('import rollback data')),
    /^import data is rolled back: hosts go on with the source through this site, /,
  );
  assert.equal(worked(await paris$('import finish log')), 'the source of import log is let go\n');

  await rounds(world);
  const late = await paris$('import rollback log');
  assert.deepEqual([late.code, late.err.includes('not kept current')], [3, true]);
  assert.doesNotMatch(worked(await paris$('import show log')), /^way back/m);
});

test('several volumes are a group, wait for their hosts, pause, and are cancelled', async (t) => {
  const world = await withSource(t);
  const { paris, paris$, json } = world;
  const volumes = 'data=disk1 log=disk2 --from old --host app1';
  const alone = await paris$(`import create ${volumes}`);
  assert.deepEqual([alone.code, alone.err.includes('a name for the group')], [2, true]);

  worked(await paris$(`import create ${volumes} --group orders --wait-for-hosts`));
  await rounds(world);
  assert.match(
    worked(await paris$('import watch orders')),
    /let its hosts in: baton import enable/,
  );
  assert.match(worked(await paris$('import enable orders')), /baton import start-copy orders/);
  paris.importer.isSlow = true;
  worked(await paris$('import start-copy orders'));
  await rounds(world, 2);
  assert.match(worked(await paris$('import pause orders')), /^next: go on: baton import resume/m);
  worked(await paris$('import resume orders'));
  const early = await paris$('import cutover orders');
  assert.deepEqual([early.code, early.err.includes('only when ready')], [3, true]);

  assert.match(worked(await paris$('import cancel orders')), /hosts go on with the source/);
  const [seen] = await json<{ state: string }[]>('import list --state cancelled');
  assert.equal(seen?.state, 'cancelled');
  const open = await paris$('import delete orders');
  assert.deepEqual([open.code, open.err.includes('hint: unmap its hosts first')], [3, true]);
});

test('an import in trouble is a failure, says why, and what can be done', async (t) => {
  const world = await withSource(t);
  const { paris, paris$ } = world;
  worked(await paris$('import create data=disk1 --from old --auto-cutover'));
  await rounds(world, 2);
  paris.source.isReachable = false;
  await rounds(world);

  const { code, err } = await paris$('import watch data');

  assert.equal(code, 1);
  assert.match(err, /import data is cancel required, the source does not answer/);
  assert.match(worked(await paris$('import show data')), /^next: .*with --force where the source/m);
  assert.match(worked(await paris$('import cancel data --force')), /has every write/);
});

test('a start is an instant with its offset, and Ctrl-C ends the watching, not the import', async (t) => {
  const { paris$, json } = await withSource(t);
  const line = 'import create data=disk1 --from old --start';

  for (const start of ['tomorrow', '2027-01-01', '2027-01-01T10:00']) {
    assert.equal((await paris$(`${line} ${start}`)).code, 2, start);
  }
  const interrupt = new AbortController();
  const watched = await paris$(`${line} 2027-01-01T10:00+02:00 --watch`, {
    interrupted: interrupt.signal,
    onOut: () => interrupt.abort(),
  });

  assert.deepEqual([watched.code, watched.out], [130, 'import data scheduled\n']);
  assert.match(watched.err, /import data goes on; follow it with: baton import watch data/);
  const [seen] = await json<{ scheduledAt: string }[]>('import list');
  assert.equal(seen?.scheduledAt, '2027-01-01T08:00:00.000Z');
  assert.match(worked(await paris$('import set data --start now')), /^state: +queued/m);
});
