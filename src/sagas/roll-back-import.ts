import { advanceImport, advanceImportBecause } from '../domain/import-session.ts';
import { Failure } from '../domain/refusal.ts';
import type { RolledBack } from '../ports/importer.ts';
import { PAUSE_LIMIT_MS, comeToNothing } from './imports.ts';
import type { OfImport } from './imports.ts';
import { serveGroup, unlockGroup } from './operation.ts';
import { saga } from './saga.ts';

/** Takes hosts back to the source that was kept, as if the cut-over had not been. */
export const rollBackImport = saga<OfImport>('roll-back-import')
  .ifUndone(async (tx, { importId, groupId }, { sagaId, now, why }) => {
    await unlockGroup(tx, groupId, sagaId);
    await tx.imports.change(importId, (s) => advanceImportBecause(s, 'roll_back_undone', now, why));
  })
  .step('look', {
    attempts: 1,
    do: async ({ importer }, { groupId }) => {
      const { state, trouble } = (await importer.inspectSource(groupId)) ?? { state: 'gone' };
      if (state === 'in_step') return;
      const why = trouble === undefined ? '' : `: ${trouble}`;
      throw new Failure(`group ${groupId}: the source is not in step but ${state}${why}`);
    },
  })
  // What the engine switches is switched, as at the cut-over.
  .pointOfNoReturn()
  .step('roll-back', {
    do: ({ importer }, { groupId }) => importer.rollBack(groupId, PAUSE_LIMIT_MS),
  })
  .commit('record', async (tx, of, { 'roll-back': result }, { sagaId, now }) => {
    const { importId, groupId } = of;
    await unlockGroup(tx, groupId, sagaId);
    if (!result.isRolledBack) {
      const { why } = result;
      await tx.imports.change(importId, (s) =>
        advanceImportBecause(s, 'roll_back_undone', now, why),
      );
      await comeToNothing(tx, sagaId, why);
      return;
    }
    const { volumes } = await tx.imports.change(importId, (s) => ({
      ...advanceImport(s, 'roll_back_done', now),
      rollback: undefined,
      left: rolledBackSentence(result),
    }));
    for (const { volumeId } of volumes) {
      await tx.volumes.change(volumeId, (v) => ({ ...v, state: 'importing' }));
    }
  })
  .step('serve', { do: (ports, { groupId }) => serveGroup(ports, groupId) });

function rolledBackSentence({ pauseMs, isCertain }: Extract<RolledBack, { isRolledBack: true }>) {
  const back = 'hosts go on with the source through this site';
  if (isCertain) {
    const waited = `they waited ${Math.round(pauseMs)} ms`;
    return `${back}, which has every write that was answered; ${waited}; our copy is removed`;
  }
  return `${back}; the data plane died in that instant, and the files of our copy are still here`;
}
