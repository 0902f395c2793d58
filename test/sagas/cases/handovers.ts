import { groupNamed, copiedOrders, ordersInSync, jobOf, withoutMirrors } from '../preparations.ts';
import type { SagaCase } from '../saga-case.ts';

export const handovers: readonly SagaCase[] = [
  ...[true, false].map((reverse): SagaCase => ({
    kind: 'handover',
    name: reverse ? 'and replicate back' : 'and wait for reprotect',
    at: 'paris',
    prepare: copiedOrders,
    start: async ({ paris }) =>
      jobOf(paris.app.handOverGroup({ groupId: await groupNamed(paris, 'orders'), reverse })),
  })),
  ...[true, false].map((reverse): SagaCase => ({
    kind: 'handover',
    name: `of a group in sync ${reverse ? 'and replicate back' : 'and wait for reprotect'}`,
    at: 'paris',
    prepare: ordersInSync,
    start: async ({ paris }) =>
      jobOf(paris.app.handOverGroup({ groupId: await groupNamed(paris, 'orders'), reverse })),
    blur: withoutMirrors,
  })),
];
