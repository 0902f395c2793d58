import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { createAuthority, issueSiteCertificate } from '../certificates/authority.ts';
import type { LogLine } from '../ports/log.ts';
import { certificateWatch } from './certificate-watch.ts';

const DAY_MS = 86_400_000;

test('a site says each day that its certificate ends, from 90 days before', async () => {
  const issuedAt = new Date('2030-05-01T12:00:00Z');
  const authority = await createAuthority({ siteId: 'site', siteName: 'paris' }, issuedAt);
  const content = { siteId: 'site', names: ['paris'], addresses: ['127.0.0.1'] };
  const { certificate } = await issueSiteCertificate(authority, content, issuedAt);
  const said: unknown[] = [];
  const warn = (line: LogLine): void => void said.push(line['daysLeft']);
  const days = [0, 640, 641, 729];
  const restedAfter = Promise.withResolvers<void>();
  const clock = {
    now: () => issuedAt.getTime() + (days[0] ?? 0) * DAY_MS,
    monotonicMs: () => 0,
    sleep: async (_ms: number, signal: AbortSignal = AbortSignal.abort()) => {
      days.shift();
      if (days.length > 0 || signal.aborted) return;
      restedAfter.resolve();
      await once(signal, 'abort');
    },
  };

  const watch = certificateWatch({ clock, log: { info: warn, warn, error: warn } }, certificate);
  await restedAfter.promise;
  await watch.stop();

  assert.deepEqual(said, [89, 1]);
});
