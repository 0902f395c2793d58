import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import test from 'node:test';

/** The rooms of src/ and what each may import beside itself. */
const mayImport: Readonly<Record<string, readonly string[] | 'all'>> = {
  domain: [],
  ports: ['domain'],
  sagas: ['domain', 'ports'],
  app: ['domain', 'ports', 'sagas'],
  reconcilers: ['domain', 'ports', 'app'],
  dialects: ['domain', 'app'],
  peer: ['domain', 'ports', 'app'],
  engines: ['domain', 'ports'],
  store: ['domain', 'ports'],
  certificates: ['domain', 'ports'],
  secrets: ['domain', 'ports'],
  cli: ['domain'],
  attach: ['domain', 'cli', 'engines/nbd', 'engines/qmp'],
  main: 'all',
};

/** Who may import what from outside; what is not listed is free to all but the domain. */
const keptTo: readonly { readonly packages: RegExp; readonly rooms: readonly string[] }[] = [
  { packages: /^node:sqlite$/, rooms: ['store'] },
  { packages: /^(@fastify\/|fastify(\/|$))/, rooms: ['dialects', 'peer', 'main'] },
];

const leftovers = new Set(['utils', 'util', 'common', 'helpers', 'shared', 'misc', 'lib']);

const ROOT = resolve(import.meta.dirname, '..');
const SUPPORT = 'test/support/';

interface Source {
  readonly file: string;
  readonly room: string;
  readonly isTest: boolean;
  readonly text: string;
}

function source(file: string, text: string): Source {
  return { file, room: file.split('/')[1] ?? '', isTest: file.endsWith('.test.ts'), text };
}

const sources = globSync('src/**/*.ts', { cwd: ROOT })
  .toSorted()
  .map((file) => source(file, readFileSync(join(ROOT, file), 'utf8')));

/** Relies on the formatter: a static import starts its line, or ends it as `} from '…'`. */
function imports(text: string): string[] {
  const forms = [
    /^(?:import|export|\})[^'"\n]*\bfrom\s+['"]([^'"]+)['"]/gm,
    /^import\s+['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"]([^'"]+)['"]/g,
  ];
  return forms.flatMap((form) => [...text.matchAll(form)].map(([, specifier = '']) => specifier));
}

function whyNot({ file, room, isTest }: Source, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return whyNotPackage(room, isTest, specifier);
  if (!/\.(ts|json)$/.test(specifier)) return 'a relative import ends in .ts';

  const target = relative(ROOT, resolve(ROOT, dirname(file), specifier));
  const allowed = mayImport[room] ?? [];
  if (allowed === 'all' || target.startsWith(`src/${room}/`)) return undefined;
  if (isTest && target.startsWith(SUPPORT)) return undefined;
  if (allowed.some((other) => target.startsWith(`src/${other}/`))) return undefined;
  const row = `${room} may import ${[...allowed, 'itself'].join(', ')}`;
  return isTest ? `${row}; a test that spans rooms lives in test/` : row;
}

function whyNotPackage(room: string, isTest: boolean, name: string): string | undefined {
  if (room === 'domain' && !isTest) return 'domain is pure: no packages, no node modules';
  const kept = keptTo.find(({ packages }) => packages.test(name));
  if (kept && !kept.rooms.includes(room)) return `only ${kept.rooms.join(', ')} may import it`;
  return undefined;
}

function brokenArrows(from: Source): string[] {
  return imports(from.text).flatMap((specifier) => {
    const why = whyNot(from, specifier);
    return why === undefined ? [] : [`${from.file} imports ${specifier}: ${why}`];
  });
}

test('each room imports only what its row allows', () => {
  assert.deepEqual(sources.flatMap(brokenArrows), []);
});

test('every file of src/ is in a known room', () => {
  const strays = sources.filter(({ file, room }) => !(room in mayImport) || file === `src/${room}`);

  assert.deepEqual(
    strays.map(({ file }) => file),
    [],
  );
});

test('there is no room for leftovers', () => {
  const named = globSync('{src,test}/**/*.ts', { cwd: ROOT }).filter((file) =>
    file.split('/').some((part) => leftovers.has(part.replace(/\..*/, ''))),
  );

  assert.deepEqual(named, []);
});

test('nothing is exported as default', () => {
  const found = sources.filter(({ text }) => /^export default\b|\bas default\b/m.test(text));

  assert.deepEqual(
    found.map(({ file }) => file),
    [],
  );
});

test('the domain reads no clock', () => {
  const found = sources.filter(
    ({ room, isTest, text }) =>
      room === 'domain' && !isTest && /\bDate\.now\(|\bnew Date\(\)|\bperformance\./.test(text),
  );

  assert.deepEqual(
    found.map(({ file }) => file),
    [],
  );
});

test('a broken arrow is seen in every form of import', () => {
  const forms = [
    "import { open } from '../engines/qcow2.ts';",
    "import type { Engine } from '../ports/engine.ts';",
    "import {\n  a,\n  b,\n} from '../store/sqlite.ts';",
    "export { a } from '../app/seal.ts';",
    "export * from '../app/seal.ts';",
    "import '../main/serve.ts';",
    "const cli = await import('../cli/table.ts');",
    "type E = import('../ports/engine.ts').Engine;",
    "import { readFile } from 'node:fs/promises';",
    "import pino from 'pino';",
    "import { advance } from './session';",
    "import { clock } from '../../test/support/clock.ts';",
  ];

  for (const text of forms) {
    assert.equal(brokenArrows(source('src/domain/a.ts', text)).length, 1, text);
  }
});

test('what a row or a test needs is allowed', () => {
  const allowed: readonly [file: string, text: string][] = [
    ['src/domain/a.ts', "import { advance } from './session.ts';"],
    ['src/domain/a.test.ts', "import fc from 'fast-check';"],
    ['src/app/a.test.ts', "import { clock } from '../../test/support/clock.ts';"],
    ['src/attach/bridge.ts', "import { connect } from '../engines/qmp/client.ts';"],
    ['src/store/sqlite/open.ts', "import { DatabaseSync } from 'node:sqlite';"],
    ['src/dialects/native/groups.ts', "import type { FastifyInstance } from 'fastify';"],
    ['src/main/serve.ts', "import { open } from '../store/sqlite/open.ts';"],
  ];
  const refused: readonly [file: string, text: string][] = [
    ['src/attach/bridge.ts', "import { seal } from '../engines/qcow2/seal.ts';"],
    ['src/app/a.ts', "import { DatabaseSync } from 'node:sqlite';"],
    ['src/app/a.ts', "import swagger from '@fastify/swagger';"],
  ];

  for (const [file, text] of allowed) assert.deepEqual(brokenArrows(source(file, text)), []);
  for (const [file, text] of refused) assert.equal(brokenArrows(source(file, text)).length, 1);
});
