import { globSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { parseArgs } from 'node:util';
import { closingLine, LeafCount } from './leaf-count.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const ROOMS = ['src', 'test', 'bench', 'web'];

/** Stories wait for most of their time; with more at once they would measure the machine, not Baton. */
const FILES_AT_ONCE = 4;
const TEST_LIMIT_MS = 120_000;
const FILE_LIMIT_MS = 300_000;
const LONG_LIMIT_MS = 3_600_000;
const SLOWEST_SHOWN = 10;

const { values: flags, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: 'boolean', default: false },
    'test-name-pattern': { type: 'string', multiple: true, default: [] },
  },
});
const namePatterns = flags['test-name-pattern'];

function testFilesIn(folder: string): string[] {
  return globSync('**/*.test.ts', { cwd: folder, exclude: ['**/node_modules/**'] })
    .filter((file) => file.endsWith('.long.test.ts') === flags.long)
    .map((file) => join(folder, file));
}

/** The vendors' clients come from their registry, so their tests run only where asked for. */
function needsNoVendor(file: string): boolean {
  return !file.startsWith(join(ROOT, 'test/conformance/'));
}

/** A file that was asked for by name runs, long or not. */
function testFilesAt(path: string): string[] {
  return statSync(path).isDirectory() ? testFilesIn(path) : [path];
}

/** Each once, also where a file is asked for beside its folder: two runs of it would meet each other. */
const files = [
  ...new Set(
    asked.length > 0
      ? asked.flatMap((path) => testFilesAt(resolve(path)))
      : ROOMS.flatMap((room) => testFilesIn(join(ROOT, room))).filter(needsNoVendor),
  ),
].toSorted();

const isLong = files.some((file) => file.endsWith('.long.test.ts'));
process.env['BATON_TEST_FILE_LIMIT_MS'] ??= String(isLong ? LONG_LIMIT_MS : FILE_LIMIT_MS);

const count = new LeafCount();
const durations = new Map<string, number>();
if (files.length > 0) {
  const events = run({
    files,
    cwd: ROOT,
    concurrency: FILES_AT_ONCE,
    timeout: isLong ? LONG_LIMIT_MS : TEST_LIMIT_MS,
    testNamePatterns: namePatterns,
    execArgv: ['--import', join(import.meta.dirname, 'file-time-limit.ts')],
  });
  events.on('test:pass', (event) => count.passed(event));
  events.on('test:fail', (event) => count.failed(event));
  events.on('test:summary', ({ file, duration_ms }) => file && durations.set(file, duration_ms));
  for await (const text of events.compose(spec)) process.stdout.write(text as string);
}

// A file without a test is a test that somebody believes in and that never runs.
if (namePatterns.length === 0) {
  for (const file of count.emptyFiles) {
    process.stdout.write(`no test in ${relative(ROOT, file)}\n`);
    count.add('failed');
  }
}
const slowest = [...durations].toSorted(([, a], [, b]) => b - a).slice(0, SLOWEST_SHOWN);
for (const [file, ms] of slowest) {
  process.stdout.write(`${(ms / 1000).toFixed(1).padStart(7)} s  ${relative(ROOT, file)}\n`);
}
if (count.isEmpty) process.stdout.write('no tests found\n');
process.stdout.write(`\n${closingLine(count)}\n`);
process.exitCode = count.totals.failed > 0 || count.isEmpty ? 1 : 0;
