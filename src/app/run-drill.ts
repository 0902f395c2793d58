import type { Drill as DrillRow } from '../domain/drill.ts';
import { newId } from '../domain/ids.ts';
import type { CopyId, DrillId, GroupId, PointId, SagaId } from '../domain/ids.ts';
import { drill } from '../sagas/drill.ts';
import { needSession } from '../sagas/offer.ts';
import { startSaga } from '../sagas/saga.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { checkTest } from './failover-test.ts';
import { startCopy } from './open-copy.ts';

/** The saga ends the test; should it never come to that, this does. */
const TEST_TERM_SECONDS = 24 * 60 * 60;

export interface RunDrill {
  readonly groupId: GroupId;
  /** Absent: the newest complete one. */
  readonly pointId?: PointId | undefined;
  readonly operator: string;
}

/**
 * Runs a failover test that nobody attaches: the point is hashed at both sites, what is on the test's
 * copy is looked at, the test is ended, and a signed report is kept. Replication goes on meanwhile.
 *
 * @throws Refusal of `startFailoverTest`
 */
export function runDrill(
  { store, clock, here }: Pick<AppPorts, 'store' | 'clock' | 'here'>,
  { groupId, pointId, operator }: RunDrill,
): Promise<Job & { readonly drillId: DrillId }> {
  return store.transaction(async (tx) => {
    const { name, shown } = await checkTest(tx, { here }, { groupId, pointId });
    const { peerId } = await needSession(tx, groupId);
    const now = clock.now();
    const test = { groupId, name, purpose: 'failover_test', shown, writable: true } as const;
    const copy = { ...test, hosts: [], termSeconds: TEST_TERM_SECONDS };
    const { copyId, jobId: openSagaId } = await startCopy(tx, copy, now);
    const drillId = newId<DrillId>();
    // No host of the site's own: only the drill has its certificate.
    const hostName = `drill-${drillId}`;
    await tx.copies.change(copyId, (c) => ({ ...c, hosts: [hostName] }));
    const { id, sequence, sealedAt, volumes } = await tx.points.need(shown.basePointId);
    const [sagaId, closeSagaId] = [newId<SagaId>(), newId<SagaId>()];
    const input = {
      ...{ drillId, groupId, copyId: copyId satisfies CopyId, openSagaId, closeSagaId, peerId },
      ...{ point: { id, sequence, sealedAt, volumes }, hostName, operator, startedAt: now },
    };
    await startSaga(tx, drill, input, { sagaId, groupId, now });
    return { jobId: sagaId, drillId };
  });
}

/** Newest first. */
export async function listDrills(
  { store }: Pick<AppPorts, 'store'>,
  filter: { readonly groupId?: GroupId | undefined },
): Promise<readonly DrillRow[]> {
  const like = filter.groupId === undefined ? {} : { groupId: filter.groupId };
  return (await store.read((tx) => tx.drills.where(like))).toReversed();
}

/** @throws Refusal `not_found` */
export function showDrill({ store }: Pick<AppPorts, 'store'>, id: DrillId): Promise<DrillRow> {
  return store.read((tx) => tx.drills.need(id));
}
