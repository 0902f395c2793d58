import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';

interface Locked {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const lock = readFileSync(join(import.meta.dirname, '../package-lock.json'), 'utf8');
const { packages } = JSON.parse(lock) as { packages: Readonly<Record<string, Locked>> };

// npm leaves an optional package out when the registry could not give it, and `npm ci` then
// refuses the whole file, on every machine.
test('the lock file has every optional package, for platforms other than this one too', () => {
  const names = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => !names.has(name))
      .map((name) => `${name}, wanted by ${path}`),
  );

  assert.deepEqual(missing, []);
});

test('the lock file has a hash for every package and names no registry', () => {
  const odd = Object.entries(packages).filter(
    ([path, { version, integrity, resolved }]) =>
      path !== '' && (!version || !integrity || resolved !== undefined),
  );

  assert.deepEqual(
    odd.map(([path]) => path),
    [],
  );
});
