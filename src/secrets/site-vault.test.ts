import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Failure } from '../domain/refusal.ts';
import { keepSiteKey } from './site-key.ts';
import { siteVault } from './site-vault.ts';

const key = Buffer.alloc(32, 1);
const vault = siteVault(key);

test('a sealed secret opens with the same key, and shows nothing of itself', () => {
  const sealed = vault.seal('öffne dich', 'source 1');

  assert.equal(siteVault(Buffer.from(key)).open(sealed, 'source 1'), 'öffne dich');
  assert.ok(!sealed.includes('dich') && !Buffer.from(sealed, 'base64url').includes('dich'));
  assert.notEqual(vault.seal('öffne dich', 'source 1'), sealed);
});

test('a secret opens for nothing else, with no other key, and not when it was changed', () => {
  const sealed = vault.seal('secret', 'source 1');
  const last = sealed.at(-1) === 'A' ? 'B' : 'A';

  assert.throws(() => vault.open(sealed, 'source 2'), Failure);
  assert.throws(() => siteVault(Buffer.alloc(32, 2)).open(sealed, 'source 1'), Failure);
  assert.throws(() => vault.open(sealed.slice(0, -1) + last, 'source 1'), Failure);
  assert.throws(() => vault.open('v2.a.b.c', 'source 1'), /a form that this version/);
});

test('the site key is made once, is its owner’s alone, and is refused when others may read it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'baton-key-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, 'secrets', 'site.key');

  const made = await keepSiteKey(path);

  assert.equal(made.length, 32);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await keepSiteKey(path), made);
  await chmod(path, 0o640);
  await assert.rejects(keepSiteKey(path), /others may read it/);
  await chmod(path, 0o600);
  await writeFile(path, (await readFile(path)).subarray(1));
  await assert.rejects(keepSiteKey(path), /wanted a key of 32 bytes, found 31/);
});
