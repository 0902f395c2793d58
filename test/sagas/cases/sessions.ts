import assert from 'node:assert/strict';
import {
  done,
  groupNamed,
  orders,
  protectedOrders,
  copiedOrders,
  sync,
  nothingInCommonSetAside,
  gold,
  assignGold,
  jobOf,
  parked,
  withSession,
} from '../preparations.ts';
import type { SagaCase } from '../saga-case.ts';
import { unprotect } from '../../support/unprotect.ts';

export const sessions: readonly SagaCase[] = [
  {
    kind: 'protect',
    name: 'a group that was never copied',
    at: 'paris',
    prepare: orders,
    start: async ({ paris, lyon }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
    },
  },
  {
    kind: 'protect',
    name: 'a group whose copy was kept',
    at: 'paris',
    prepare: async (pair) => {
      await copiedOrders(pair);
      const groupId = await groupNamed(pair.paris, 'orders');
      await done(pair.paris, pair.paris.app.unprotectGroup({ groupId, discardCopy: false }));
    },
    start: async ({ paris, lyon }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(paris.app.protectGroup({ groupId, peerId: lyon.id, rpoSeconds: 30 }));
    },
  },
  {
    kind: 'protect',
    name: 'by a policy',
    at: 'paris',
    prepare: async (pair) => {
      await orders(pair);
      await gold(pair);
    },
    start: async ({ paris }) => assignGold(paris),
  },
  {
    kind: 'unprotect',
    name: 'with the policy that protected it',
    at: 'paris',
    prepare: async (pair) => {
      const { paris } = pair;
      await orders(pair);
      await gold(pair);
      assert.equal((await paris.ended(await assignGold(paris))).state, 'done');
      await sync(paris);
    },
    start: async ({ paris }) => {
      const job = await paris.app.unassignPolicy({ groupId: await groupNamed(paris, 'orders') });
      assert.ok(job, 'a session ends');
      return job.jobId;
    },
  },
  ...[true, false].map((discardCopy): SagaCase => ({
    kind: 'unprotect',
    name: discardCopy ? 'and discard the copy' : 'and keep the copy',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      return jobOf(unprotect(paris.app, { groupId, discardCopy }));
    },
  })),
  {
    kind: 'forget-session',
    name: 'at a destination whose source is gone',
    at: 'lyon',
    prepare: copiedOrders,
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      return jobOf(unprotect(lyon.app, { groupId, discardCopy: false, force: true }));
    },
  },
  {
    kind: 'replicate',
    name: 'the first copy',
    at: 'paris',
    prepare: protectedOrders,
    start: async ({ paris }) =>
      jobOf(paris.app.synchronizeGroup({ groupId: await groupNamed(paris, 'orders') })),
    undone: parked,
    // It may be complete there without the source's having heard of it.
    blur: (picture) => ({ ...picture, lyon: { ...picture.lyon, sessions: [], held: [] } }),
  },
  {
    kind: 'replicate',
    name: 'what has changed',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) =>
      jobOf(paris.app.synchronizeGroup({ groupId: await groupNamed(paris, 'orders') })),
    undone: parked,
  },
  {
    kind: 'replicate',
    name: 'by hashes, where the sites have no point in common',
    at: 'lyon',
    prepare: async (pair) => {
      await nothingInCommonSetAside(pair);
      const groupId = await groupNamed(pair.lyon, 'orders');
      await done(pair.lyon, pair.lyon.app.reprotectGroup({ groupId }));
    },
    start: async ({ lyon }) =>
      jobOf(lyon.app.synchronizeGroup({ groupId: await groupNamed(lyon, 'orders') })),
    undone: (before) => ({
      ...before,
      lyon: withSession(before.lyon, { state: 'system_paused', parked: true }),
    }),
    // It may be complete there without the source's having heard of it.
    blur: (picture) => ({ ...picture, paris: { ...picture.paris, sessions: [] } }),
  },
];
