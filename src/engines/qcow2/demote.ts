/**
 * Going back to a point. What stands above it becomes a fork: layers, points and volumes that
 * exist only there.
 *
 *   close to hosts ─ close the nodes above ─ look whether they hold anything ─ record
 */
import type { ForkId, PointId } from '../../domain/ids.ts';
import type { Fork } from '../../ports/engine.ts';
import { collectGarbage, enter } from './enter.ts';
import { forkOf } from './forks.ts';
import { openGraph } from './graph.ts';
import { needPoint } from './group.ts';
import type { Group } from './group.ts';
import { setAside } from './set-aside.ts';

export function demote(group: Group, pointId: PointId, forkId: ForkId): Promise<Fork | undefined> {
  return group.alone(['send', 'merge'], async () => {
    const { record, daemon } = await enter(group);
    const point = needPoint(group, record, pointId);
    const done = record.forks.find((fork) => fork.forkId === forkId);
    if (done) return forkOf(group, done);
    if (!record.hasPresent && record.points.at(-1) === point) return undefined;
    const next = await group.save(await setAside(group, record, daemon, pointId, forkId));
    await collectGarbage(group, next);
    if (daemon) await openGraph(group, daemon.qmp, next);
    const fork = next.forks.find((one) => one.forkId === forkId);
    return fork && forkOf(group, fork);
  });
}
