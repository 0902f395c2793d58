import type { QmpClient } from '../qmp/client.ts';
import { abortJob, deleteObject } from '../qmp/commands.ts';
import { queryJobs } from '../qmp/queries.ts';
import type { Job } from '../qmp/queries.ts';
import { QmpTimeout } from '../qmp/errors.ts';
import { DaemonHung } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { isMirrorNode } from './nodes.ts';
import type { GroupRecord, Mirror } from './record.ts';
import { endHolding } from './mirror-hold.ts';
import { cutLink } from './send-end.ts';

export const MIRROR_JOB = 'mirror-';
export const MIRROR_TLS = 'tls-mirror';

export async function mirrorJobs(qmp: QmpClient): Promise<readonly Job[]> {
  return (await queryJobs(qmp)).filter(({ id }) => id.startsWith(MIRROR_JOB));
}

/**
 * Removes all that a mirror has in the daemon. Its connections are cut first: ending a job waits for
 * its requests, and the daemon with it.
 */
export async function endMirror(
  group: Group,
  qmp: QmpClient,
  mirror: Mirror | undefined,
): Promise<void> {
  const jobs = await mirrorJobs(qmp);
  if (mirror && jobs.some(({ status }) => status !== 'concluded')) {
    await cutLink(group, mirror.target);
  }
  for (const job of jobs) await abortJob(qmp, job);
  await deleteMirrorNodes(qmp);
}

/** Of a mirror whose jobs are dismissed; their filters have gone with them. */
export async function deleteMirrorNodes(qmp: QmpClient): Promise<void> {
  const graph = await readGraph(qmp);
  await deleteNodes(qmp, graph, [...graph.nodes].filter(isMirrorNode));
  await deleteObject(qmp, MIRROR_TLS);
}

/**
 * Within the group's lock. Hosts go on alone; those that a mirror was to hold are parted from the
 * group, with the daemon, and come back when it is served again.
 */
export async function dropMirror(
  group: Group,
  record: GroupRecord,
  daemon: Daemon | undefined,
): Promise<GroupRecord> {
  if (!record.mirror) return record;
  if (record.mirror.holds === true) return dropHolding(group, record, record.mirror);
  if (daemon) await endMirror(group, daemon.qmp, record.mirror);
  return group.save({ ...record, mirror: undefined });
}

/** Within the group's lock. The daemon is ended, unless another one has taken its place. */
export async function dropHolding(
  group: Group,
  record: GroupRecord,
  { instance }: Mirror,
): Promise<GroupRecord> {
  const isOther = await group.findDaemon().then(
    (daemon) => daemon?.instance !== instance,
    (cause: unknown) => {
      if (cause instanceof DaemonHung || cause instanceof QmpTimeout) return false;
      throw cause;
    },
  );
  if (!isOther) await endHolding(group, record);
  return group.save({ ...record, mirror: undefined });
}
