import assert from 'node:assert/strict';
import test from 'node:test';
import { closingLine, LeafCount } from './leaf-count.ts';

const FILE = '/repo/a.test.ts';

function event(name: string, nesting: number, details: object = {}, mark: object = {}) {
  return { name, nesting, file: FILE, details: { type: 'test', ...details }, ...mark };
}

test('suites and tests that hold others are not counted', () => {
  const count = new LeafCount();

  count.passed(event('inner', 2));
  count.passed(event('suite', 1, { type: 'suite' }));
  count.passed(event('outer', 0));
  count.passed(event('after it', 0));

  assert.equal(closingLine(count), '2 passed, 0 failed');
});

test('a failed inner test is counted once, and an outer one when it fails by itself', () => {
  const count = new LeafCount();

  count.failed(event('inner', 1, { error: { failureType: 'testCodeFailure' } }));
  count.failed(event('outer', 0, { error: { failureType: 'subtestsFailed' } }));
  count.passed(event('inner', 1));
  count.failed(event('outer', 0, { error: { failureType: 'hookFailed' } }));

  assert.equal(closingLine(count), '1 passed, 2 failed');
});

test('a skipped test neither passed nor failed, but it is a test', () => {
  const count = new LeafCount();

  count.passed(event('for later', 0, {}, { skip: 'needs a disk' }));
  count.failed(event('not yet', 0, { error: { failureType: 'testCodeFailure' } }, { todo: '' }));

  assert.equal(closingLine(count), '0 passed, 0 failed');
  assert.equal(count.isEmpty, false);
});

test('a file without tests is named and not counted as passed', () => {
  const count = new LeafCount();

  count.passed(event(FILE, 0));

  assert.deepEqual(count.emptyFiles, [FILE]);
  assert.equal(count.isEmpty, true);
});

test('a file that crashed is a failure', () => {
  const count = new LeafCount();

  count.failed(event(FILE, 0, { error: { failureType: 'testCodeFailure' } }));

  assert.equal(closingLine(count), '0 passed, 1 failed');
});
