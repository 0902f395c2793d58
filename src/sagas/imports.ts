/**
 * An import's long steps. Between them the import watch compares what the session wants with what
 * the data plane does: a copy goes on for hours and outlives every process but its own.
 *
 *   queued ── open-import ──▶ copying ── compare-import ──▶ ready ── cut-over-import ──▶ completed
 *                                ├─ examine-import (cancel_required: what could not be read)
 *                                │ cancel-import ──▶ cancelled (hosts on the source)
 *   completed, its source kept ── roll-back-import ──▶ rolled_back (hosts on the source)
 */
import type { GroupId, ImportId, SagaId } from '../domain/ids.ts';
import { advanceImport, advanceImportBecause } from '../domain/import-session.ts';
import { openedWindow } from '../domain/import-rollback.ts';
import type { ByteRange, ImportSession } from '../domain/import-session.ts';
import { Failure } from '../domain/refusal.ts';
import type { Importer, OpenImport } from '../ports/importer.ts';
import type { Transaction } from '../ports/store.ts';
import { forgetGroup } from './members.ts';
import { serveGroup, unlockGroup } from './operation.ts';
import { saga } from './saga.ts';

export interface OfImport {
  readonly importId: ImportId;
  readonly groupId: GroupId;
}

/** Hosts wait no longer for a cut-over, or a way back; after that it has not happened. */
export const PAUSE_LIMIT_MS = 2000;
const COMPARE_ATTEMPTS = 2;

/** Puts this site between hosts and the source, and begins to copy unless hosts have to move first. */
export const openImport = saga<OfImport>('open-import')
  .ifUndone(async (tx, { importId, groupId }, { now, why }) => {
    await tx.imports.change(importId, (s) => advanceImportBecause(s, 'not_opened', now, why));
    await forgetGroup(tx, groupId);
  })
  .step('open', {
    do: async ({ store, importer }, { importId, groupId }) => {
      await importer.open(groupId, await store.read((tx) => requestOf(tx, importId)));
    },
    undo: ({ engine }, { groupId }) => engine.deleteGroup(groupId),
  })
  // From here on hosts may come, so what is open stays open until somebody cancels.
  .pointOfNoReturn(async (tx, { importId, groupId }, _done, { sagaId, now }) => {
    const { settings, volumes } = await tx.imports.need(importId);
    const { waitForHosts, hosts } = settings;
    const event = waitForHosts ? 'opened_for_hosts' : 'opened';
    await tx.imports.change(importId, (s) => advanceImport(s, event, now));
    for (const { volumeId, from } of volumes) {
      if (from.readOnly) continue;
      await tx.volumes.change(volumeId, (v) => ({ ...v, state: 'importing' }));
    }
    if (!waitForHosts) await tx.groups.change(groupId, (g) => ({ ...g, hosts }));
    await unlockGroup(tx, groupId, sagaId);
  })
  .step('serve', { do: (ports, of) => serveImport(ports, of) });

/** Compares both copies; what comes of it decides whether the import may be cut over. */
export const compareImport = saga<OfImport>('compare-import')
  .ifUndone(async (tx, { importId }, { why }) => {
    const session = await tx.imports.get(importId);
    if (session === undefined) return;
    const comparisonsFailed = session.comparisonsFailed + 1;
    await tx.imports.change(importId, (s) => ({ ...s, comparisonsFailed, trouble: why }));
  })
  .step('compare', {
    attempts: COMPARE_ATTEMPTS,
    do: ({ importer }, { groupId }, _done, { signal, onProgress }) =>
      importer.compare(groupId, { signal, onProgress }),
  })
  .commit('record', async (tx, { importId }, { compare: found }, { now }) => {
    const session = await tx.imports.get(importId);
    // Somebody has cancelled it, or the copy began again, while it was looked at.
    if (session?.state !== 'copying' && session?.state !== 'paused') return;
    const compared = { ...session, comparison: { ...found, comparedAt: now } };
    const { length } = found.differing;
    await tx.imports.change(importId, () =>
      length === 0
        ? advanceImport(compared, 'copy_ready', now)
        : advanceImportBecause(compared, 'copy_failed', now, differSentence(compared)),
    );
  });

/** Looks what of the source could not be read, for whoever has to decide what to do about it. */
export const examineImport = saga<OfImport>('examine-import')
  .step('look', {
    attempts: 1,
    do: ({ importer }, { groupId }, _done, { signal }) => importer.findUnreadable(groupId, signal),
  })
  .commit('record', async (tx, { importId }, { look: unreadable }) => {
    const session = await tx.imports.get(importId);
    // Somebody has cancelled it while it was looked at.
    if (session?.state !== 'cancel_required' || unreadable.length === 0) return;
    await tx.imports.change(importId, (s) => ({
      ...s,
      unreadable,
      trouble: unreadableSentence(s, unreadable),
    }));
  });

/** Makes our copies the volumes. From the engine's word on the source is let go. */
export const cutOverImport = saga<OfImport>('cut-over-import')
  .ifUndone(async (tx, { importId, groupId }, { sagaId, now, why }) => {
    await unlockGroup(tx, groupId, sagaId);
    await tx.imports.change(importId, (s) => advanceImportBecause(s, 'cut_over_undone', now, why));
  })
  .step('look', {
    attempts: 1,
    do: async ({ importer }, { groupId }) => {
      const { copy, trouble } = await importer.inspect(groupId);
      if (copy !== 'in_step') {
        const why = trouble === undefined ? '' : `: ${trouble}`;
        throw new Failure(`group ${groupId}: the copies are not in step but ${copy}${why}`);
      }
    },
  })
  // What the engine switches is switched: nothing could take back what hosts write from then on.
  .pointOfNoReturn()
  .step('cut-over', {
    do: ({ importer }, { groupId }) => importer.cutOver(groupId, PAUSE_LIMIT_MS),
  })
  .commit('record', async (tx, of, { 'cut-over': result }, { sagaId, now }) => {
    const { importId, groupId } = of;
    await unlockGroup(tx, groupId, sagaId);
    if (!result.isCutOver) {
      const { why } = result;
      await tx.imports.change(importId, (s) =>
        advanceImportBecause(s, 'cut_over_undone', now, why),
      );
      await comeToNothing(tx, sagaId, why);
      return;
    }
    const cutOverPauseMs = result.pauseMs;
    const { volumes, settings } = await tx.imports.change(importId, (s) => ({
      ...advanceImport(s, 'cut_over_done', now),
      cutOverPauseMs,
      rollback: openedWindow(s, now),
    }));
    for (const { volumeId } of volumes) {
      await tx.volumes.change(volumeId, (v) => ({ ...v, state: 'ready' }));
    }
    // A source that is only read had no hosts until now.
    const isReadOnly = volumes.every(({ from }) => from.readOnly);
    await tx.groups.change(groupId, (g) => ({
      ...g,
      // While hosts may go back, nobody but the import changes the group.
      importing: settings.rollbackForSeconds === undefined ? undefined : importId,
      hosts: isReadOnly ? settings.hosts : g.hosts,
    }));
  })
  .step('serve', { do: (ports, { groupId }) => serveGroup(ports, groupId) });

export interface CancelImport extends OfImport {
  /** The source or a host does not answer: end it without rolling back. */
  readonly force: boolean;
  /** Once more, for what a forced one has left. */
  readonly isCleanUp?: boolean;
}

/**
 * Ends an import before its cut-over. Hosts go on with the source through the connections that
 * they have; where none may (read only, never opened, forced), everything here is taken away.
 */
export const cancelImport = saga<CancelImport>('cancel-import')
  .pointOfNoReturn()
  .step('end-copy', {
    do: async ({ importer }, of) => {
      const trouble = await endCopy(importer, of);
      // Once more: the data plane's monitor may have been lost in the middle of it.
      return { trouble: trouble === undefined ? undefined : await endCopy(importer, of) };
    },
  })
  .step('close', {
    do: async ({ engine, store }, of, { 'end-copy': { trouble } }) => {
      if (trouble !== undefined && !of.force) return { closed: false, trouble };
      if (await store.read((tx) => hostsGoOn(tx, of))) return { closed: false, trouble: undefined };
      try {
        await engine.deleteGroup(of.groupId);
        return { closed: true, trouble: undefined };
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        return { closed: false, trouble: error.message };
      }
    },
  })
  .commit('record', async (tx, of, { close: { closed, trouble } }, { sagaId, now }) => {
    const { importId, groupId, force, isCleanUp = false } = of;
    await unlockGroup(tx, groupId, sagaId);
    if (trouble !== undefined) {
      const event = force ? 'leave_behind' : 'cancel_undone';
      await tx.imports.change(importId, (s) => advanceImportBecause(s, event, now, trouble));
      // What is forced ends the import, whatever it leaves.
      if (!force || isCleanUp) await comeToNothing(tx, sagaId, trouble);
      return;
    }
    await tx.imports.change(importId, (s) => ({
      ...advanceImport(s, 'cancel_done', now),
      left: leftSentence(s, closed, force),
    }));
    if (closed) await forgetGroup(tx, groupId);
  });

/** The job is done and everything is as it was, or is tried again by somebody: it says why. */
export async function comeToNothing(
  tx: Transaction,
  sagaId: SagaId,
  message: string,
): Promise<void> {
  await tx.sagas.change(sagaId, (s) => ({ ...s, outcome: { message, reason: undefined } }));
}

/** @returns what did not let it be ended */
async function endCopy(
  importer: Importer,
  { groupId, force }: CancelImport,
): Promise<string | undefined> {
  try {
    await importer.abandon(groupId, { force });
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return error.message;
  }
}

/** Takes away the record of an import that has ended, and what it left open to hosts. */
export const forgetImport = saga<OfImport>('forget-import')
  .pointOfNoReturn()
  .step('close', {
    do: async ({ engine, store }, { importId, groupId }) => {
      const group = await store.read((tx) => tx.groups.get(groupId));
      if (group?.importing === importId) await engine.deleteGroup(groupId);
    },
  })
  .commit('forget', async (tx, { importId, groupId }) => {
    if ((await tx.groups.get(groupId))?.importing === importId) await forgetGroup(tx, groupId);
    await tx.imports.remove(importId);
  });

async function requestOf(tx: Transaction, importId: ImportId): Promise<OpenImport> {
  const { sourceId, volumes, settings } = await tx.imports.need(importId);
  const source = await tx.importSources.need(sourceId);
  return { source, volumes, keepsSource: settings.rollbackForSeconds !== undefined };
}

async function serveImport(
  ports: Parameters<typeof serveGroup>[0],
  { importId, groupId }: OfImport,
): Promise<void> {
  const session = await ports.store.read((tx) => tx.imports.get(importId));
  const isOpenToHosts = session?.volumes.some(({ from }) => !from.readOnly) === true;
  if (isOpenToHosts) await serveGroup(ports, groupId);
}

async function hostsGoOn(tx: Transaction, { groupId, force }: CancelImport): Promise<boolean> {
  const volumes = await tx.volumes.where({ groupId });
  return !force && volumes.some(({ state }) => state === 'importing');
}

function differSentence({ comparison, volumes }: ImportSession): string {
  const [first] = comparison?.differing ?? [];
  const name = volumes.find(({ volumeId }) => volumeId === first?.volumeId)?.name;
  return (
    `the copies differ in ${comparison?.differing.length} range(s), the first in volume ${name} at ` +
    `${first?.offset}; did a host write the source itself, not through this site?`
  );
}

function unreadableSentence({ volumes }: ImportSession, unreadable: readonly ByteRange[]): string {
  const [first] = unreadable;
  const name = volumes.find(({ volumeId }) => volumeId === first?.volumeId)?.name;
  return (
    `the source cannot be read in ${unreadable.length} range(s), the first in volume ${name} at ` +
    `${first?.offset}, ${first?.lengthBytes} bytes; it was tried again and again`
  );
}

/** In what state both were left: the source has every write that was answered, whatever happened. */
function leftSentence({ volumes }: ImportSession, closed: boolean, force: boolean): string {
  if (!closed) {
    return 'hosts go on with the source through this site; delete the import when they have left it';
  }
  const isReadOnly = volumes.every(({ from }) => from.readOnly);
  if (isReadOnly || !force)
    return 'our copy is removed; the source was not written through this site';
  return 'hosts were disconnected and our copy is removed; the source has every write that was answered';
}
