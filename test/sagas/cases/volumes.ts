import { MIB, done, groupNamed, volumeNamed, alone, copiedOrders, jobOf } from '../preparations.ts';
import type { SagaCase } from '../saga-case.ts';

export const volumes: readonly SagaCase[] = [
  {
    kind: 'create-volume',
    name: 'a volume that stands alone',
    at: 'paris',
    prepare: async () => undefined,
    start: ({ paris }) => jobOf(paris.app.createVolume({ name: 'alone', sizeBytes: MIB })),
  },
  {
    kind: 'create-volume',
    name: 'a volume of a replicated group',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.createVolume({ name: 'late', sizeBytes: MIB, groupId }));
    },
  },
  {
    kind: 'delete-volume',
    name: 'a volume that stands alone',
    at: 'paris',
    prepare: alone,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'alone');
      return jobOf(paris.app.deleteVolume({ volumeId }));
    },
  },
  {
    kind: 'delete-volume',
    name: 'a volume of a replicated group',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'log');
      return jobOf(paris.app.deleteVolume({ volumeId }));
    },
  },
  {
    kind: 'resize-volume',
    name: 'a volume that stands alone',
    at: 'paris',
    prepare: alone,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'alone');
      return jobOf(paris.app.resizeVolume({ volumeId, sizeBytes: 2 * MIB }));
    },
  },
  {
    kind: 'resize-volume',
    name: 'a volume of a replicated group',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'data');
      return jobOf(paris.app.resizeVolume({ volumeId, sizeBytes: 2 * MIB }));
    },
  },
  {
    kind: 'delete-group',
    name: 'an empty group',
    at: 'paris',
    prepare: async ({ paris }) => void (await paris.app.createGroup({ name: 'orders' })),
    start: async ({ paris }) =>
      jobOf(paris.app.deleteGroup({ groupId: await groupNamed(paris, 'orders') })),
  },
  {
    kind: 'delete-group',
    name: 'a copy that nothing feeds any more',
    at: 'lyon',
    prepare: async (pair) => {
      await copiedOrders(pair);
      const groupId = await groupNamed(pair.paris, 'orders');
      await done(pair.paris, pair.paris.app.unprotectGroup({ groupId, discardCopy: false }));
    },
    start: async ({ lyon }) =>
      jobOf(lyon.app.deleteGroup({ groupId: await groupNamed(lyon, 'orders') })),
  },
];
