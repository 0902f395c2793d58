import {
  done,
  importing,
  startedByWatch,
  copying,
  keptCurrent,
  readyToCutOver,
  onlyImport,
  jobOf,
} from '../preparations.ts';
import type { SagaCase } from '../saga-case.ts';

export const imports: readonly SagaCase[] = [
  {
    kind: 'open-import',
    name: 'a volume of a foreign system',
    at: 'paris',
    prepare: async (pair) => void (await importing(pair)),
    start: (pair) => startedByWatch(pair, 'open-import'),
    undone: (before) => ({
      ...before,
      paris: { ...before.paris, groups: [], volumes: [], imports: ['data failed '] },
    }),
  },
  {
    kind: 'compare-import',
    name: 'copies that are in step, under a host',
    at: 'paris',
    prepare: (pair) => copying(pair),
    start: (pair) => startedByWatch(pair, 'compare-import'),
  },
  {
    kind: 'examine-import',
    name: 'a source that cannot be read in places',
    at: 'paris',
    prepare: async (pair) => {
      pair.paris.source.unreadable.set('disk1', [5]);
      await copying(pair);
    },
    start: (pair) => startedByWatch(pair, 'examine-import'),
    undone: (before) => ({
      ...before,
      paris: { ...before.paris, imports: ['data cancel_required '] },
    }),
  },
  {
    kind: 'cut-over-import',
    name: 'copies that are in step and compared',
    at: 'paris',
    prepare: (pair) => readyToCutOver(pair),
    start: async (pair) =>
      jobOf(pair.paris.app.cutOverImport({ importId: (await onlyImport(pair)).id })),
    undone: (before) => ({
      ...before,
      paris: { ...before.paris, imports: ['data copying compared'] },
    }),
  },
  {
    kind: 'roll-back-import',
    name: 'whose source was kept current',
    at: 'paris',
    prepare: keptCurrent,
    start: async (pair) =>
      jobOf(pair.paris.app.rollBackImport({ importId: (await onlyImport(pair)).id })),
  },
  ...[false, true].map((force): SagaCase => ({
    kind: 'cancel-import',
    name: force ? 'although nobody answers' : 'with a host that goes on with the source',
    at: 'paris',
    prepare: (pair) => readyToCutOver(pair),
    start: async (pair) =>
      jobOf(pair.paris.app.cancelImport({ importId: (await onlyImport(pair)).id, force })),
  })),
  {
    kind: 'cancel-import',
    name: 'before it was opened',
    at: 'paris',
    prepare: async (pair) => void (await importing(pair)),
    start: async (pair) =>
      jobOf(pair.paris.app.cancelImport({ importId: (await onlyImport(pair)).id, force: false })),
  },
  {
    kind: 'forget-import',
    name: 'that was cancelled and that hosts have left',
    at: 'paris',
    prepare: async (pair) => {
      await readyToCutOver(pair);
      const { id: importId, groupId } = await onlyImport(pair);
      await done(pair.paris, pair.paris.app.cancelImport({ importId, force: false }));
      const [host] = await pair.paris.app.listHosts();
      await pair.paris.app.unmapHost({ groupId, hostId: host!.id });
    },
    start: async (pair) =>
      jobOf(pair.paris.app.deleteImport({ importId: (await onlyImport(pair)).id })),
  },
];
