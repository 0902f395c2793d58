/**
 * Runs a saga under a fate and compares what two sites know and hold afterwards: with an undisturbed
 * run when it was done, with what was there before when it was undone.
 */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { SagaRecord } from '../../src/domain/saga-record.ts';
import { hasEnded } from '../../src/domain/saga-record.ts';
import type { SagaId } from '../../src/domain/ids.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { allSagas } from '../../src/sagas/all.ts';
import type { Part } from '../../src/sagas/saga.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { PeerMessage } from '../support/memory-peer.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';
import type { SagaCase } from './saga-case.ts';
import { Fates } from './fate.ts';
import type { Fate, Trouble } from './fate.ts';
import { pictureOf } from './picture.ts';
import type { Picture } from './picture.ts';

/** More turns than any run takes; then it hangs. */
const TURNS_LIMIT = 20_000;

export interface Run {
  readonly before: Picture;
  readonly after: Picture;
  readonly saga: SagaRecord;
  /** How often the fate was met. */
  readonly met: number;
  /** What the saga's site asked the other one. */
  readonly messages: ReadonlySet<PeerMessage>;
}

export interface Meddling {
  readonly fate?: Fate;
  /** What somebody does as soon as the saga has started; may be refused. */
  readonly atOnce?: (site: MemorySite, sagaId: SagaId) => Promise<void>;
  /** The first message of this kind does not arrive, or its answer does not. */
  readonly lost?: { readonly message: PeerMessage; readonly way: 'there' | 'back' };
}

export async function run(
  t: TestContext,
  sagaCase: SagaCase,
  { fate, atOnce, lost }: Meddling = {},
): Promise<Run> {
  const fates = new Fates();
  const pair = await memoryPair(t, { sagas: fates.wrap(allSagas) });
  await sagaCase.prepare(pair);
  await allEnded(pair);
  const before = await pictureOf(pair);
  fates.site = pair[sagaCase.at];
  fates.fate = fate;
  const messages = overhear(pair[sagaCase.at], lost);
  const sagaId = await sagaCase.start(pair);
  await atOnce?.(pair[sagaCase.at], sagaId).catch(passRefusal);
  const saga = await endOf(pair[sagaCase.at], sagaId);
  await allEnded(pair);
  const after = await pictureOf(pair);
  assertSound(after);
  if (sagaCase.isForced !== true) assertOneWriter(after);
  await pair.close();
  return { before, after, saga, met: fates.met, messages };
}

export function partsOf(kind: string): readonly Part[] {
  const definition = allSagas.find((saga) => saga.kind === kind);
  assert.ok(definition, `there is no saga ${kind}`);
  return definition.parts;
}

/** How a run must end: before the point of no return what cannot be done is undone. */
export function mustEnd(
  parts: readonly Part[],
  index: number,
  trouble: Trouble,
): SagaRecord['state'] {
  const noReturn = parts.findIndex((part) => part.is === 'point_of_no_return');
  const part = parts[index];
  // A saga that begins with it cannot go back at all.
  const isPast = noReturn === 0 || (noReturn !== -1 && index > noReturn);
  if (isPast || part === undefined) return 'done';
  switch (trouble) {
    case 'done twice':
    case 'crash before':
    case 'crash after':
      return 'done';
    case 'fails once':
      return part.is === 'step' && part.step.attempts !== 1 ? 'done' : 'undone';
    case 'fails':
    case 'fails after it was done':
    case 'refused':
    case 'refused after it was done':
      return 'undone';
    case 'abort during':
    case 'abort after':
      // What has been committed last, or is given away, is done.
      return isLastWord(parts, index) ? 'done' : 'undone';
  }
}

function isLastWord(parts: readonly Part[], index: number): boolean {
  const part = parts[index];
  return part?.is === 'point_of_no_return' || (part?.is === 'commit' && index === parts.length - 1);
}

/** What must be true of every end. */
function assertSound({ paris, lyon }: Picture): void {
  for (const site of [paris, lyon]) {
    for (const group of site.groups) {
      assert.deepEqual([group.locked, group.fenced], [false, false], `${group.name} is let go`);
      assert.ok(!group.volumes.includes('unknown'), `${group.name} has all its volumes`);
    }
    for (const held of site.held) {
      assert.notEqual(held.group, 'unknown', 'nothing is held that the store does not know');
      assert.ok(!held.points.includes('unknown'), `each point of ${held.group} is known`);
    }
    for (const session of site.sessions) assert.equal(session.cycling, false);
  }
}

function assertOneWriter({ paris, lyon }: Picture): void {
  for (const { group, serving } of paris.held) {
    const there = lyon.held.find((held) => held.group === group);
    assert.ok(!(serving && there?.serving === true), `${group} has one writer`);
  }
}

function overhear({ trouble }: MemorySite, lost: Meddling['lost']): ReadonlySet<PeerMessage> {
  const messages = new Set<PeerMessage>();
  const losing = lost?.way === 'there' ? trouble.lostBefore : trouble.lostAfter;
  trouble.hold = async (message) => {
    if (message === lost?.message) {
      if (messages.has(message)) losing.delete(message);
      else losing.add(message);
    }
    messages.add(message);
  };
  return messages;
}

function passRefusal(error: unknown): void {
  if (!(error instanceof Refusal)) throw error;
}

async function endOf(site: MemorySite, sagaId: SagaId): Promise<SagaRecord> {
  for (let turns = 0; turns < TURNS_LIMIT; turns += 1) {
    const saga = await site.ports.store.read((tx) => tx.sagas.need(sagaId));
    if (hasEnded(saga)) return saga;
    await turn();
  }
  const saga = await site.ports.store.read((tx) => tx.sagas.need(sagaId));
  throw new Error(`${saga.kind} does not end: ${JSON.stringify(saga)}`);
}

async function allEnded({ paris, lyon }: MemoryPair): Promise<void> {
  for (const site of [paris, lyon]) {
    const sagas = await site.ports.store.read((tx) => tx.sagas.all());
    for (const { id } of sagas) await endOf(site, id);
  }
}
