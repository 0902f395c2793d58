import { followSource } from '../../../src/app/follow-source.ts';
import {
  groupNamed,
  copiedOrders,
  sync,
  tested,
  cloned,
  onlyCopy,
  restored,
  jobOf,
} from '../preparations.ts';
import type { SagaCase } from '../saga-case.ts';

export const histories: readonly SagaCase[] = [
  {
    kind: 'open-copy',
    name: 'a failover test',
    at: 'lyon',
    prepare: copiedOrders,
    start: async ({ lyon }) =>
      jobOf(lyon.app.startFailoverTest({ groupId: await groupNamed(lyon, 'orders') })),
  },
  {
    kind: 'open-copy',
    name: 'a clone at the source, read-only',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.cloneGroup({ groupId, name: 'look', writable: false }));
    },
  },
  {
    kind: 'refresh-copy',
    name: 'of a clone on the newest point',
    at: 'lyon',
    prepare: cloned,
    start: async ({ lyon }) => jobOf(lyon.app.refreshClone({ copyId: (await onlyCopy(lyon)).id })),
  },
  ...[true, false].map((keep): SagaCase => ({
    kind: 'close-copy',
    name: keep ? 'of a test, and keep what it wrote' : 'of a test, and discard what it wrote',
    at: 'lyon',
    prepare: tested,
    start: async ({ lyon }) =>
      jobOf(lyon.app.stopFailoverTest({ groupId: await groupNamed(lyon, 'orders'), keep })),
    // The list of the other site is told when it answers.
    blurDone: (picture) => ({ ...picture, paris: { ...picture.paris, forks: [] } }),
  })),
  {
    kind: 'go-back',
    name: 'to an older point',
    at: 'paris',
    prepare: async (pair) => {
      await copiedOrders(pair);
      await sync(pair.paris);
    },
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      const to = { pointId: (await paris.app.listPoints(groupId))[0]!.id };
      const { confirmation } = await paris.app.preflightRestore({ groupId, to });
      return jobOf(paris.app.restoreGroup({ groupId, to, confirmation }));
    },
  },
  {
    kind: 'go-back',
    name: 'to what a restore set aside',
    at: 'paris',
    prepare: restored,
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      const to = { forkId: (await paris.app.listForks({ groupId }))[0]!.id };
      const { confirmation } = await paris.app.preflightRestore({ groupId, to });
      return jobOf(paris.app.restoreGroup({ groupId, to, confirmation }));
    },
  },
  {
    kind: 'follow-line',
    name: 'before the first cycle after a restore',
    at: 'lyon',
    prepare: restored,
    start: async ({ paris, lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const [here] = await lyon.app.listSessions();
      const [there] = await paris.app.listSessions();
      const [base] = await paris.app.listPoints(groupId);
      void followSource(lyon.ports, here!, there!.line, base!.id).catch(() => undefined);
      for (;;) {
        const [job] = await lyon.app.listJobs({ groupId, kind: 'follow-line' });
        if (job !== undefined) return job.id;
      }
    },
  },
];
