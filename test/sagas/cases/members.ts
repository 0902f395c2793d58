import { groupNamed, volumeNamed, alone, copiedOrders, jobOf } from '../preparations.ts';
import type { SagaCase } from '../saga-case.ts';

export const members: readonly SagaCase[] = [
  {
    kind: 'move-volume',
    name: 'into a group that is replicated',
    at: 'paris',
    prepare: async (pair) => {
      await alone(pair);
      await copiedOrders(pair);
    },
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'alone');
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.addVolume({ groupId, volumeId }));
    },
  },
  {
    kind: 'move-volume',
    name: 'out of a group that is replicated',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const { id: volumeId } = await volumeNamed(paris, 'log');
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.removeVolume({ groupId, volumeId }));
    },
  },
  {
    kind: 'move-volume',
    name: 'one out of a group that is replicated, another into it',
    at: 'paris',
    prepare: async (pair) => {
      await alone(pair);
      await copiedOrders(pair);
    },
    start: async ({ paris }) => {
      const [{ id: joins }, { id: leaves }] = await Promise.all([
        volumeNamed(paris, 'alone'),
        volumeNamed(paris, 'log'),
      ]);
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.changeMembers({ groupId, add: [joins], remove: [leaves] }));
    },
  },
  {
    kind: 'move-volume',
    name: 'both out of a group that is replicated',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const volumes = await Promise.all(['data', 'log'].map((name) => volumeNamed(paris, name)));
      const groupId = await groupNamed(paris, 'orders');
      const remove = volumes.map(({ id }) => id);
      return jobOf(paris.app.changeMembers({ groupId, add: [], remove }));
    },
  },
];
