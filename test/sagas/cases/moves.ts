import assert from 'node:assert/strict';
import {
  done,
  groupNamed,
  copiedOrders,
  sync,
  ordersInSync,
  takenByForce,
  provisional,
  nothingInCommon,
  nothingInCommonSetAside,
  hearOfIt,
  setAside,
  tested,
  jobOf,
  withoutSessionsOf,
  withSession,
} from '../preparations.ts';
import type { SagaCase } from '../saga-case.ts';

export const moves: readonly SagaCase[] = [
  {
    kind: 'failover',
    name: 'on what a mirror has filled',
    at: 'lyon',
    isForced: true,
    prepare: ordersInSync,
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const { confirmation } = await lyon.app.preflightFailover({ groupId });
      return jobOf(lyon.app.failOverGroup({ groupId, confirmation }));
    },
  },
  {
    kind: 'failover',
    name: 'on the newest point',
    at: 'lyon',
    isForced: true,
    prepare: copiedOrders,
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const { confirmation } = await lyon.app.preflightFailover({ groupId });
      return jobOf(lyon.app.failOverGroup({ groupId, confirmation }));
    },
  },
  {
    kind: 'failover',
    name: 'on an older point, so that the newer one becomes a fork',
    at: 'lyon',
    isForced: true,
    prepare: async (pair) => {
      await copiedOrders(pair);
      await sync(pair.paris);
    },
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const [oldest] = await lyon.app.listPoints(groupId);
      const request = { groupId, pointId: oldest!.id };
      const { confirmation } = await lyon.app.preflightFailover(request);
      return jobOf(lyon.app.failOverGroup({ ...request, confirmation }));
    },
  },
  {
    kind: 'set-aside',
    name: 'at a site that lost a group with writes of its own',
    at: 'paris',
    prepare: async (pair) => {
      await takenByForce(pair);
      await hearOfIt(pair);
    },
    start: setAside,
    undone: (before) => ({ ...before, paris: withSession(before.paris, { parked: true }) }),
  },
  {
    kind: 'set-aside',
    name: 'where the sites have no point in common',
    at: 'paris',
    prepare: nothingInCommon,
    start: setAside,
    undone: (before) => ({ ...before, paris: withSession(before.paris, { parked: true }) }),
  },
  {
    kind: 'reprotect',
    name: 'where the sites have no point in common',
    at: 'lyon',
    prepare: nothingInCommonSetAside,
    start: async ({ lyon }) =>
      jobOf(lyon.app.reprotectGroup({ groupId: await groupNamed(lyon, 'orders') })),
    blur: withoutSessionsOf('paris'),
  },
  ...[true, false].map((parisWrote): SagaCase => ({
    kind: 'roll-back',
    name: parisWrote ? 'to a site with writes of its own' : 'to a site that had written no more',
    at: 'lyon',
    prepare: (pair) => provisional(pair, parisWrote),
    start: async ({ lyon }) => {
      const groupId = await groupNamed(lyon, 'orders');
      const { confirmation } = await lyon.app.preflightRollback({ groupId });
      return jobOf(lyon.app.rollBackFailover({ groupId, confirmation }));
    },
  })),
  {
    kind: 'reprotect',
    name: 'after a failover',
    at: 'lyon',
    prepare: async (pair) => {
      await takenByForce(pair);
      await hearOfIt(pair);
      const { state } = await pair.paris.ended(await setAside(pair));
      assert.equal(state, 'done');
    },
    start: async ({ lyon }) =>
      jobOf(lyon.app.reprotectGroup({ groupId: await groupNamed(lyon, 'orders') })),
    blur: withoutSessionsOf('paris'),
  },
  {
    kind: 'reprotect',
    name: 'after a handover that did not reverse',
    at: 'lyon',
    prepare: async (pair) => {
      await copiedOrders(pair);
      const groupId = await groupNamed(pair.paris, 'orders');
      await done(pair.paris, pair.paris.app.handOverGroup({ groupId, reverse: false }));
    },
    start: async ({ lyon }) =>
      jobOf(lyon.app.reprotectGroup({ groupId: await groupNamed(lyon, 'orders') })),
    blur: withoutSessionsOf('paris'),
  },
  {
    kind: 'failover',
    name: 'on what a test has written',
    at: 'lyon',
    isForced: true,
    prepare: tested,
    start: async ({ lyon }) => {
      const request = { groupId: await groupNamed(lyon, 'orders'), useTestCopy: true };
      const { confirmation } = await lyon.app.preflightFailover(request);
      return jobOf(lyon.app.failOverGroup({ ...request, confirmation }));
    },
  },
  {
    kind: 'failover',
    name: 'back at the old source, on the fork of what it had written',
    at: 'paris',
    isForced: true,
    prepare: async (pair) => {
      await takenByForce(pair);
      await hearOfIt(pair);
      assert.equal((await pair.paris.ended(await setAside(pair))).state, 'done');
    },
    start: async ({ paris }) => {
      const groupId = await groupNamed(paris, 'orders');
      const [fork] = await paris.app.listForks({ groupId });
      const request = { groupId, forkId: fork!.id, force: true };
      const { confirmation } = await paris.app.preflightFailover(request);
      return jobOf(paris.app.failOverGroup({ ...request, confirmation }));
    },
  },
];
