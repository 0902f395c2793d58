import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { cliWorld } from '../../test/support/cli-world.ts';
import { PASSWORD } from '../../test/support/native-api.ts';

test('a sign-in is kept for its user alone, pins the authority, and ends', async (t) => {
  const { baton, urls, caFiles, directory } = await cliWorld(t);
  const login = ['login', '--user', 'admin', '--site', urls.paris, '--ca', caFiles.paris];

  const wrong = await baton(login, { answers: ['not the password'] });
  assert.deepEqual([wrong.code, wrong.out], [5, '']);

  const right = await baton(login, { answers: [PASSWORD] });
  assert.deepEqual([right.code, right.out], [0, `signed in to ${urls.paris} as admin\n`]);
  const file = join(directory, '.config', 'baton', 'sites.json');
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.equal((await stat(join(directory, '.config', 'baton'))).mode & 0o777, 0o700);
  assert.equal((await readFile(file, 'utf8')).includes(PASSWORD), false);

  assert.equal((await baton(['site'])).code, 0);
  assert.equal((await baton(['logout'])).code, 0);
  const out = await baton(['site']);
  assert.deepEqual([out.code, out.err.startsWith('baton: which site?')], [2, true]);
});

test('the environment may say all, for scripts', async (t) => {
  const { baton, urls, caFiles, lyon } = await cliWorld(t);
  const site = { BATON_SITE: urls.lyon, BATON_CA: caFiles.lyon };

  const user = { ...site, BATON_USER: 'admin', BATON_PASSWORD: PASSWORD };
  assert.match((await baton(['site'], { env: user })).out, /^name: +lyon$/m);
  const { token } = await lyon.app.signIn({ name: 'admin', password: PASSWORD });
  const asToken = { ...site, BATON_TOKEN: token };
  assert.match((await baton(['site'], { env: asToken })).out, /^name: +lyon$/m);
  const bad = await baton(['site'], { env: { ...site, BATON_TOKEN: 'nonsense' } });
  assert.deepEqual([bad.code, bad.err.includes('hint: sign in')], [5, true]);
  assert.equal((await baton(['site'], { env: site })).code, 5);
});

test('one sign-in serves many commands of a pair, and is renewed when it has ended', async (t) => {
  const { paris$, paris } = await cliWorld(t);
  const tokens = (): Promise<number> =>
    paris.ports.store.read(async (tx) => (await tx.tokens.all()).length);

  await paris$('site');
  await paris$('site');
  assert.equal(await tokens(), 1);

  await paris.ports.store.transaction(async (tx) => {
    for (const { id } of await tx.tokens.all()) await tx.tokens.remove(id);
  });
  assert.equal((await paris$('site')).code, 0);
  assert.equal(await tokens(), 1);
});

test('a certificate from another authority is not trusted', async (t) => {
  const { baton, urls, caFiles } = await cliWorld(t);
  const env = { BATON_USER: 'admin', BATON_PASSWORD: PASSWORD };

  const none = await baton(['--site', urls.paris, 'site'], { env });
  assert.deepEqual([none.code, /hint: .*--ca FILE/.test(none.err)], [6, true]);
  const other = await baton(['--site', urls.paris, '--ca', caFiles.lyon, 'site'], { env });
  assert.equal(other.code, 6);
});

test('where nothing answers, or something else, the site is unreachable', async (t) => {
  const { baton } = await cliWorld(t);
  const server = createServer((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nhello'));
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const env = { BATON_TOKEN: 'x' };

  for (const site of [`https://127.0.0.1:${port}`, 'https://127.0.0.1:1']) {
    const { code, err } = await baton(['--site', site, 'site'], { env });
    assert.equal(code, 6, err);
    assert.match(err, /hint: is the site running/);
  }
});

test('what was typed wrong is told before anything is asked', async (t) => {
  const { baton, paris$, directory } = await cliWorld(t);
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['volume create --size 1G', /missing required argument 'name'/],
    ['volume create v1', /required option '--size <size>' not specified/],
    ['volume create v1 --size ten', /wanted a size such as 10G or 512M, got "ten"/],
    ['volume crate v1', /unknown command 'crate'\n\(Did you mean create\?\)/],
    ['group protect g --to lyon --rpo soon', /wanted a time such as 30s/],
    ['-o yaml site', /Allowed choices are table, json/],
    ['volume list --colour', /unknown option '--colour'/],
    ['volume create v1 --size 1', /sizeBytes: wanted a multiple of 512/],
  ];
  for (const [line, sentence] of wrong) {
    const { code, err } = await paris$(line);
    assert.equal(code, 2, line);
    assert.match(err, sentence);
  }
  const nowhere = await baton(['--pair', '/nonexistent', '--at', 'paris', 'site']);
  assert.deepEqual([nowhere.code, nowhere.err.includes('baton pair up --dir')], [2, true]);
  const rome = await baton(['--pair', directory, '--at', 'rome', 'site']);
  assert.deepEqual([rome.code, rome.err.includes('wanted paris or lyon')], [2, true]);
  assert.equal((await baton(['--site', 'http://127.0.0.1', 'site'])).code, 2);
});

test('a noun alone prints its help, and help tells the exit codes', async (t) => {
  const { baton } = await cliWorld(t);

  const noun = await baton(['group']);
  assert.equal(noun.code, 2);
  assert.match(noun.err, /Usage: baton group[\s\S]*handover[\s\S]*Examples:/);
  const help = await baton(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.out, /Exit codes:\n {2}0 {2}done\n/);
});
