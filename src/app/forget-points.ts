import { expendable } from '../domain/retention-plan.ts';
import { forgetPoints } from '../sagas/forget-points.ts';
import type { AppPorts } from './app-ports.ts';

/** Carries out each session's retention plan, and goes on with merges that were interrupted. */
export async function forgetExpendablePoints(
  ports: Pick<AppPorts, 'store' | 'engine' | 'log'>,
): Promise<void> {
  const { store, log } = ports;
  const sessions = await store.read((tx) => tx.sessions.all());
  for (const session of sessions) {
    // The source merges between its cycles: a send reads the chain that a merge would change.
    if (session.cycle !== undefined || session.state === 'handing_over') continue;
    const { forgotten, kept } = await forgetPoints(ports, session, expendable);
    if (forgotten.length === 0) continue;
    const counts = { forgotten: forgotten.length, kept: kept.length };
    log.info({ event: 'points_forgotten', groupId: session.groupId, ...counts });
  }
}
