import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { configFile, readConfig } from './config.ts';
import { DEFAULT_LISTENERS, dialectUrls, offsetPorts } from './listeners.ts';

const site = { name: 'paris', data: '/srv/baton' };

async function fileWith(t: TestContext, text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-config-'));
  t.after(() => rm(directory, { recursive: true }));
  const file = join(directory, 'baton.toml');
  await writeFile(file, text);
  return file;
}

test("each dialect listens at its vendor's port unless told otherwise", () => {
  const { ports, address } = readConfig(site);

  assert.deepEqual(ports, DEFAULT_LISTENERS);
  assert.equal(dialectUrls({ address, ports }).native, 'https://127.0.0.1:8443/api/v1');
});

test('a flag overrides the file, and the file the default, for one listener and no other', async (t) => {
  const config = await fileWith(t, '[ports]\nnative = 9001\npeer = 9002\n');

  const { ports } = readConfig({ ...site, config, port: ['native=9003'] });

  assert.deepEqual(ports, { ...DEFAULT_LISTENERS, native: 9003, peer: 9002 });
});

test('an offset moves every listener, and a file that was written says so', async (t) => {
  const ports = offsetPorts(DEFAULT_LISTENERS, 1000);
  const written = { name: 'paris', dataDirectory: '/srv/baton', address: '127.0.0.2', ports };

  assert.deepEqual(readConfig({ config: await fileWith(t, configFile(written)) }), written);
  assert.equal(ports.peer, DEFAULT_LISTENERS.peer + 1000);
  assert.equal(ports.groups.last, DEFAULT_LISTENERS.groups.last + 1000);
});

test('a port that is none, or of no listener, is refused in words', async (t) => {
  for (const port of [
    'native',
    'native=',
    'native=0',
    'native=65536',
    'native=x',
    'ftp=21',
    '=1',
  ]) {
    assert.throws(() => readConfig({ ...site, port: [port] }), /--port: wanted LISTENER=NUMBER/);
  }
  const config = await fileWith(t, '[ports]\nftp = 21\n');
  assert.throws(() => readConfig({ ...site, config }), /baton\.toml/);
});
