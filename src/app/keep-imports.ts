/**
 * Carries out what imports want, from what is: takes from the queue, keeps copies going, and says
 * what has come of them. Each round looks afresh, so it does not matter what died in between.
 */
import {
  CONCURRENT_IMPORTS,
  advanceImport,
  advanceImportBecause,
  takesSlot,
} from '../domain/import-session.ts';
import type { ImportSession } from '../domain/import-session.ts';
import { newId } from '../domain/ids.ts';
import type { ImportId, Instant, SagaId } from '../domain/ids.ts';
import { Refusal } from '../domain/refusal.ts';
import { hasEnded } from '../domain/saga-record.ts';
import type { ImportInspection } from '../ports/importer.ts';
import type { Transaction } from '../ports/store.ts';
import { compareImport, examineImport, openImport } from '../sagas/imports.ts';
import { sessionOf } from '../sagas/offer.ts';
import { lockGroup } from '../sagas/operation.ts';
import { ProgressMeter } from '../sagas/progress-meter.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts } from './app-ports.ts';
import { startCutOver } from './end-import.ts';
import { keepRollback } from './keep-rollback.ts';
import type { Tries } from './keep-rollback.ts';
import { protectGroup } from './protect-group.ts';

type Deps = Pick<AppPorts, 'store' | 'importer' | 'clock' | 'here' | 'log' | 'stallBound'>;

const MAX_COMPARISONS = 3;

/** What a process remembers between rounds: how fast copies are, and when it tried a source. */
export interface Memory {
  readonly meters: Meters;
  readonly tries: Tries;
}

type Meters = Map<ImportId, ProgressMeter>;

export function newMemory(): Memory {
  return { meters: new Map(), tries: new Map() };
}

export async function keepImports(ports: Deps, memory: Memory): Promise<void> {
  const { meters, tries } = memory;
  await ports.store.transaction((tx) => takeFromQueue(tx, ports.clock.now()));
  const sessions = await ports.store.read((tx) => tx.imports.all());
  for (const id of meters.keys()) {
    if (!sessions.some((s) => s.id === id && s.state === 'copying')) meters.delete(id);
  }
  for (const id of tries.keys()) {
    if (!sessions.some((s) => s.id === id && s.rollback !== undefined)) tries.delete(id);
  }
  const kept = await Promise.allSettled(sessions.map((s) => keepImport(ports, s, memory)));
  for (const [index, one] of kept.entries()) {
    if (one.status === 'fulfilled') continue;
    const importId = sessions[index]?.id;
    ports.log.warn({ event: 'import_not_kept', importId, error: one.reason as unknown });
  }
}

/** First come, first served; a schedule only says when an import comes. */
async function takeFromQueue(tx: Transaction, now: Instant): Promise<void> {
  for (const { id, settings } of await tx.imports.where({ state: 'scheduled' })) {
    if ((settings.scheduledAt ?? now) > now) continue;
    await tx.imports.change(id, (s) => advanceImport(s, 'queue', now));
  }
  const free = CONCURRENT_IMPORTS - (await tx.imports.all()).filter(takesSlot).length;
  const queued = await tx.imports.where({ state: 'queued' });
  for (const { id: importId, groupId } of queued.slice(0, Math.max(0, free))) {
    await tx.imports.change(importId, (s) => advanceImport(s, 'start', now));
    const sagaId = newId<SagaId>();
    await lockGroup(tx, groupId, sagaId, importId);
    await startSaga(tx, openImport, { importId, groupId }, { sagaId, groupId, now });
  }
}

async function keepImport(ports: Deps, session: ImportSession, memory: Memory): Promise<void> {
  const { meters, tries } = memory;
  switch (session.state) {
    case 'copying':
      return keepCopying(ports, session, meters);
    case 'paused':
      return keepPaused(ports, session);
    case 'ready':
      return keepReady(ports, session);
    case 'completed':
      if (session.rollback === undefined) return protectImported(ports, session);
      return keepRollback(ports, session, session.rollback, tries);
    default:
      return undefined;
  }
}

async function keepCopying(ports: Deps, session: ImportSession, meters: Meters): Promise<void> {
  const { importer } = ports;
  const seen = await importer.inspect(session.groupId);
  if (seen.copy === 'failed') return failCopy(ports, session, seen);
  if (seen.copy === 'in_step') return settleCopy(ports, session, seen);
  if (seen.copy === 'none' && session.copyStartedAt !== undefined) {
    await restartCopy(ports, session, 'the data plane that copied has ended');
  }
  try {
    await importer.copy(session.groupId, session.settings.bytesPerSecond);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return noteHeld(ports, session, error.message);
  }
  await noteProgress(ports, session, seen, meters);
}

/** It has not begun: the source does not answer, or there is no room here. It is tried again. */
async function noteHeld({ store }: Deps, { id }: ImportSession, held: string): Promise<void> {
  await store.transaction(async (tx) => {
    const { state, volumes, progress } = await tx.imports.need(id);
    if (state !== 'copying' || progress?.held === held) return;
    const totalBytes = volumes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const unknown = { bytesPerSecond: undefined, averageBytesPerSecond: undefined };
    const none = { copiedBytes: 0, totalBytes, etaSeconds: undefined, ...unknown };
    await tx.imports.change(id, (s) => ({ ...s, progress: { ...none, held } }));
  });
}

/**
 * In step: now both are compared, or have been, or need not be. All is copied then: what the data plane
 * counts as left is what hosts write at this moment, which goes to both.
 */
async function settleCopy(
  { store, clock }: Deps,
  { id }: ImportSession,
  { totalBytes }: ImportInspection,
): Promise<void> {
  await store.transaction(async (tx) => {
    const now = clock.now();
    const session = await tx.imports.need(id);
    if (session.state !== 'copying') return;
    const { groupId, settings, comparison, comparisonsFailed, trouble } = session;
    const done = { copiedBytes: totalBytes, totalBytes, etaSeconds: 0, bytesPerSecond: undefined };
    const progress = { ...done, averageBytesPerSecond: session.progress?.averageBytesPerSecond };
    const settled = { ...session, progress };
    if (!settings.verify || comparison !== undefined) {
      await tx.imports.change(id, () => advanceImport(settled, 'copy_ready', now));
      return;
    }
    const running = await tx.sagas.where({ groupId, kind: compareImport.kind });
    if (running.some((saga) => !hasEnded(saga))) return;
    if (comparisonsFailed >= MAX_COMPARISONS) {
      const why = `the copies could not be compared: ${trouble ?? 'for no known reason'}`;
      await tx.imports.change(id, (s) => advanceImportBecause(s, 'copy_failed', now, why));
      return;
    }
    await tx.imports.change(id, () => settled);
    const sagaId = newId<SagaId>();
    await startSaga(tx, compareImport, { importId: id, groupId }, { sagaId, groupId, now });
  });
}

async function keepPaused(
  { importer, store }: Deps,
  { id, groupId }: ImportSession,
): Promise<void> {
  const { copy } = await importer.inspect(groupId);
  // Read again: a resume may have come while it was looked.
  const now = await store.read((tx) => tx.imports.get(id));
  if (copy === 'running' && now?.state === 'paused') await importer.pause(groupId);
}

async function keepReady(ports: Deps, session: ImportSession): Promise<void> {
  const { store, clock, importer } = ports;
  const seen = await importer.inspect(session.groupId);
  if (seen.copy === 'failed') return failCopy(ports, session, seen);
  if (seen.copy !== 'in_step') {
    return restartCopy(ports, session, seen.trouble ?? 'the copies are not in step any more');
  }
  if (!session.settings.automaticCutover) return undefined;
  return store.transaction(async (tx) => {
    const { state } = await tx.imports.need(session.id);
    if (state === 'ready') await startCutOver(tx, session.id, clock.now());
  });
}

async function failCopy(
  { store, clock }: Deps,
  { id }: ImportSession,
  { trouble = 'the copy failed' }: ImportInspection,
): Promise<void> {
  await store.transaction(async (tx) => {
    const session = await tx.imports.need(id);
    const now = clock.now();
    const failed = advanceImport(session, 'copy_failed', now);
    if (failed.state === session.state) return;
    const { groupId } = await tx.imports.change(id, () => ({ ...failed, trouble }));
    const sagaId = newId<SagaId>();
    await startSaga(tx, examineImport, { importId: id, groupId }, { sagaId, groupId, now });
  });
}

/** What was copied is lost, or may be: nothing that is not known to be in step counts. */
async function restartCopy(
  { store, clock }: Deps,
  { id }: ImportSession,
  why: string,
): Promise<void> {
  await store.transaction((tx) =>
    tx.imports.change(id, (s) => {
      if (s.state !== 'copying' && s.state !== 'ready') return s;
      return {
        ...advanceImport(s, 'copy_lost', clock.now()),
        restarts: s.restarts + 1,
        restartedBecause: why,
        copyStartedAt: undefined,
        progress: undefined,
        comparison: undefined,
        comparisonsFailed: 0,
      };
    }),
  );
}

async function noteProgress(
  { store, clock }: Deps,
  { id }: ImportSession,
  { copiedBytes, totalBytes, held }: ImportInspection,
  meters: Meters,
): Promise<void> {
  const meter = meters.get(id) ?? new ProgressMeter();
  meters.set(id, meter);
  const counted = { sentBytes: copiedBytes, totalBytes };
  const { bytesPerSecond, etaSeconds } = meter.measure(counted, clock.monotonicMs());
  await store.transaction((tx) =>
    tx.imports.change(id, (s) => {
      if (s.state !== 'copying') return s;
      const now = clock.now();
      const copyStartedAt = s.copyStartedAt ?? now;
      const seconds = (now - copyStartedAt) / 1000;
      const averageBytesPerSecond = seconds > 0 ? Math.round(copiedBytes / seconds) : undefined;
      const progress = {
        copiedBytes,
        totalBytes,
        bytesPerSecond,
        averageBytesPerSecond,
        etaSeconds: held === undefined ? etaSeconds : undefined,
        held,
      };
      return { ...s, copyStartedAt, progress };
    }),
  );
}

/** Once: a refusal stays with the session, and somebody may protect the group by hand. */
async function protectImported(ports: Deps, session: ImportSession): Promise<void> {
  const { id, groupId, settings } = session;
  if (settings.protect === undefined) return;
  const [group, existing] = await ports.store.read((tx) =>
    Promise.all([tx.groups.get(groupId), sessionOf(tx, groupId)]),
  );
  if (group?.operation !== undefined) return;
  const refused =
    group === undefined || existing !== undefined
      ? undefined
      : await refusalOf(protectGroup(ports, { groupId, ...settings.protect }));
  await ports.store.transaction((tx) =>
    tx.imports.change(id, (s) => {
      const asked = { ...s, settings: { ...s.settings, protect: undefined } };
      if (refused === undefined) return asked;
      const why = `the replication did not begin: ${refused}`;
      return advanceImportBecause(asked, 'cut_over_partly', ports.clock.now(), why);
    }),
  );
}

async function refusalOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}
