import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import test from 'node:test';
import { pythonWith } from '../../support/python-packages.ts';
import { twoSites } from '../../support/two-sites.ts';
import type { TwoSites } from '../../support/two-sites.ts';
import { describedSite } from './extension-client.ts';

/** What python-cinderclient saw. */
async function walk(sites: TwoSites): Promise<Readonly<Record<string, unknown>>> {
  const { identity, username, password, caFile } = describedSite(sites.dir, 'paris');
  const interpreter = await pythonWith(join(import.meta.dirname, 'requirements.txt'));
  const script = join(import.meta.dirname, 'cinder_walk.py');
  const python = spawn(interpreter, [script], { stdio: ['pipe', 'pipe', 'pipe'] });
  const [said, complained]: [Buffer[], Buffer[]] = [[], []];
  python.stdout.on('data', (chunk: Buffer) => said.push(chunk));
  python.stderr.on('data', (chunk: Buffer) => complained.push(chunk));
  python.stdin.end(JSON.stringify({ identity, username, password, caFile }));
  return new Promise((resolve, reject) => {
    python.on('error', reject);
    python.on('close', (code) => {
      if (code !== 0) reject(new Error(Buffer.concat(complained).toString()));
      else resolve(JSON.parse(Buffer.concat(said).toString()) as Record<string, unknown>);
    });
  });
}

test('python-cinderclient finds both zones, and makes, lists and deletes disks in each', async (t) => {
  const sites = await twoSites(t);

  const seen = await walk(sites);

  assert.deepEqual(seen, {
    zones: ['paris', 'lyon'],
    placed: ['paris', 'lyon'],
    pages: ['cinder-lyon', 'cinder-paris'],
    found: [true],
    findByName: true,
    types: ['baton'],
    limits: 2,
    unknownZone: 400,
    unknownVolume: 404,
    takenName: 409,
    noSuchAction: 400,
    afterRefusals: 2,
    left: 0,
  });
});
