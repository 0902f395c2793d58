import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptance, standingOf } from './follow-plan.ts';
import type { KnownWord, Serving, Word } from './follow-plan.ts';

const serving = (host: string): Serving => ({
  host,
  port: 10_900,
  exportName: 'data@h1',
  tlsName: host,
  instance: 'i1',
});

function said(holder: string, epoch: number, more: Partial<KnownWord> = {}): KnownWord {
  const volume = { volumeId: 'v1', name: 'data', sizeBytes: 1 };
  return { found: 'here', ...volume, holder, epoch, history: { id: 'h1' }, ...more };
}

function words(paris: Word, lyon: Word): ReadonlyMap<string, Word> {
  return new Map([
    ['paris', paris],
    ['lyon', lyon],
  ]);
}

test('a volume goes to the site that holds it by the newest word, once that serves it', () => {
  const old = said('paris', 1, { serves: serving('paris') });

  const moving = standingOf('h1', words(old, said('lyon', 2)));
  const moved = standingOf('h1', words(old, said('lyon', 2, { serves: serving('lyon') })));

  assert.deepEqual(moving, { kind: 'waiting', why: 'not_served' });
  assert.ok(moved.kind === 'open' && moved.siteId === 'lyon');
});

test('a site that has heard of a newer holder is believed, though the old one still serves', () => {
  const old = said('paris', 1, { serves: serving('paris') });
  const heard = said('lyon', 2);

  assert.deepEqual(standingOf('h1', words(heard, { found: 'silent' })), {
    kind: 'waiting',
    why: 'holder_silent',
  });
  assert.equal(standingOf('h1', words(old, heard)).kind, 'waiting');
});

test('another history closes the volume at once, also before anybody serves it', () => {
  const old = said('paris', 1, { serves: serving('paris') });
  const history = { id: 'h2', pointId: 'p7' };

  const standing = standingOf('h1', words(old, said('lyon', 2, { history })));

  assert.ok(standing.kind === 'broken');
  assert.equal(acceptance(standing.word), 'p7');
  const later = said('paris', 5, { history, serves: serving('paris') });
  assert.equal(standingOf('h1', words(later, { found: 'silent' })).kind, 'broken');
  assert.equal(standingOf('h2', words(later, { found: 'silent' })).kind, 'open');
});

test('a host that has seen nothing yet takes what there is', () => {
  const now = said('lyon', 4, { history: { id: 'h9' }, serves: serving('lyon') });

  assert.equal(standingOf(undefined, words({ found: 'silent' }, now)).kind, 'open');
});

test('why a volume waits is told', () => {
  const why = (paris: Word, lyon: Word) => standingOf('h1', words(paris, lyon));

  assert.deepEqual(why({ found: 'silent' }, { found: 'silent' }), {
    kind: 'waiting',
    why: 'no_site_answers',
  });
  assert.deepEqual(why({ found: 'silent' }, { found: 'unknown' }), {
    kind: 'waiting',
    why: 'unknown',
  });
  assert.deepEqual(why({ found: 'not_mapped' }, { found: 'unknown' }), {
    kind: 'waiting',
    why: 'not_mapped',
  });
  // Unmapped at the holder; the other site has not heard of it yet.
  assert.deepEqual(why({ found: 'not_mapped' }, said('paris', 1)), {
    kind: 'waiting',
    why: 'not_mapped',
  });
});
