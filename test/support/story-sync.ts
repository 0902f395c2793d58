/** Synchronous sessions in stories. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { siteLogFile } from '../../src/main/pair-files.ts';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';
import type { FailoverPreflight, SessionAnswer } from './native-answers.ts';
import type { StorySite } from './story-site.ts';
import { moreWrites, volumesOf } from './two-sites.ts';
import type { TwoSites } from './two-sites.ts';

/** The bound that a session has unless told, and what a busy machine adds to it. */
const STALL_LIMIT_MS = 3_000 + 2_000;
/** A cycle, a mirror and a comparison, on a busy machine. */
const CONDITION_LIMIT_MS = 60_000;

type Condition = NonNullable<SessionAnswer['sync']>['condition'];

export function becomes(site: StorySite, condition: Condition): Promise<SessionAnswer> {
  const isSo = ({ sync }: SessionAnswer): boolean => sync?.condition === condition;
  return site.sessionOnce('orders', condition, isSo, CONDITION_LIMIT_MS);
}

/** In sync, the other site heard of, and with no cycle that is held up: an operator may move it. */
export function isWell(site: StorySite): Promise<SessionAnswer> {
  const isSo = ({ state, sync, link }: SessionAnswer): boolean =>
    state === 'ok' && sync?.condition === 'in_sync' && link?.state === 'up';
  return site.sessionOnce('orders', 'ok and in sync', isSo, CONDITION_LIMIT_MS);
}

/** A group in sync, both sites knowing it, under a writer. */
export async function inSync(sites: TwoSites, settings: object = {}): Promise<NumberedWriter> {
  const writer = await sites.startWriter({ volumes: volumesOf('orders') });
  await sites.paris.changeSession('orders', { mode: 'sync', ...settings });
  await becomes(sites.paris, 'in_sync');
  await becomes(sites.lyon, 'in_sync');
  await moreWrites(writer, 300);
  return writer;
}

/** Its control process first: it would open the group again, and hosts would write there alone. */
export async function killAtOnce(site: StorySite): Promise<void> {
  const pid = await site.daemonPid('orders');
  await site.killControl();
  process.kill(pid, 'SIGKILL');
}

export function assertStalledNoLonger(writer: NumberedWriter): void {
  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
  const { durationMs } = writer.longestGap();
  assert.ok(durationMs < STALL_LIMIT_MS, `hosts waited ${Math.round(durationMs)} ms`);
}

/** What a failover says it is complete up to is there, and an image of the volumes at one instant. */
export async function assertCompleteUpTo(
  sites: TwoSites,
  writer: NumberedWriter,
  site: StorySite,
  { completeUpTo }: FailoverPreflight,
): Promise<void> {
  assert.ok(completeUpTo, 'it says up to when it is complete');
  const after = writer.markAt(Date.parse(completeUpTo));
  const cut = await writer.verifyCut((label) => sites.connect(site, label), { after });
  assert.ok(cut.consistent, `complete up to ${completeUpTo}: ${JSON.stringify(cut)}`);
}

/** How many mirrors a site has begun, as its log tells. */
export async function mirrorsBegun({ dir }: TwoSites, { name }: StorySite): Promise<number> {
  const log = await readFile(siteLogFile(dir, name), 'utf8');
  return log.split('"mirror_started"').length - 1;
}
