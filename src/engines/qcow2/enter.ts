/** Every piece of work on a group begins here: what a crash interrupted is put in order first. */
import { rm } from 'node:fs/promises';
import { abortJob, closeExports } from '../qmp/commands.ts';
import { queryExports, queryJobs } from '../qmp/queries.ts';
import { boundLog } from './daemon-process.ts';
import type { Daemon } from './daemon.ts';
import { RECEIVING_EXPORT, HOST_EXPORT, STANDBY_EXPORT } from './exports.ts';
import { deleteNodes, expectedNodes, openGraph, ownNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { MERGE_JOB } from './merge-job.ts';
import { settleSealing } from './seal-outcome.ts';
import { endMirror } from './mirror-end.ts';
import { endSend } from './send-end.ts';
import { isMergeHead, isMirrorNode, isSendNode } from './nodes.ts';
import type { GroupRecord } from './record.ts';

export interface Entered {
  readonly record: GroupRecord;
  readonly daemon: Daemon | undefined;
}

export interface Running extends Entered {
  readonly daemon: Daemon;
}

/** Within the group's lock. The daemon is left as it is: running or not. */
export async function enter(group: Group): Promise<Entered> {
  let record = await group.record();
  const daemon = await group.findDaemon();
  if (daemon) boundLog(group.seat.paths.log);
  if (record.sealing) record = await settleSealing(group, record, daemon);
  if (daemon && !group.isSettled) {
    await putInOrder(group, daemon, record);
    group.isSettled = true;
  }
  record = await collectGarbage(group, record);
  return { record, daemon };
}

/** Within the group's lock. Starts the daemon when it does not run, with all that the record names. */
export async function enterRunning(group: Group): Promise<Running> {
  const { record, daemon } = await enter(group);
  if (daemon) return { record, daemon };
  const started = await group.seat.start();
  await openGraph(group, started.qmp, record);
  group.isSettled = true;
  return { record, daemon: started };
}

/** Within the group's lock. Closes what the record names no more, and removes its files. */
export async function tidy(group: Group): Promise<void> {
  group.isSettled = false;
  await enter(group);
}

/** Makes the daemon's graph what the record says. Exports to hosts are left as they are. */
async function putInOrder(
  group: Group,
  { qmp, instance }: Daemon,
  record: GroupRecord,
): Promise<void> {
  const merging = group.working.has('merge');
  for (const job of await queryJobs(qmp)) {
    if (job.id.startsWith(MERGE_JOB) && !merging) await abortJob(qmp, job);
  }
  if (!record.sending) await endSend(group, qmp);
  const mirrors = record.mirror?.instance === instance;
  if (!mirrors) await endMirror(group, qmp, record.mirror);
  const stands = record.standby?.instance === instance;
  const receives = record.receiving?.instance === instance;
  const strays = (await queryExports(qmp)).filter(
    ({ id }) =>
      (id.startsWith(HOST_EXPORT) && !record.hasPresent && !record.importing) ||
      (id.startsWith(RECEIVING_EXPORT) && !receives) ||
      (id.startsWith(STANDBY_EXPORT) && !stands),
  );
  await closeExports(
    qmp,
    strays.map(({ id }) => id),
  );
  const graph = await readGraph(qmp);
  const expected = expectedNodes(record);
  const isWanted = (name: string): boolean =>
    expected.has(name) ||
    (isSendNode(name) && record.sending !== undefined) ||
    (isMirrorNode(name) && mirrors) ||
    (isMergeHead(name) && merging);
  await deleteNodes(
    qmp,
    graph,
    ownNodes(graph).filter((name) => !isWanted(name)),
  );
  await openGraph(group, qmp, record);
}

/**
 * Removes the files that nothing needs. The list is emptied on disk with the next write: removing
 * a file twice does nothing, since names are not used again before that write.
 */
export async function collectGarbage(group: Group, record: GroupRecord): Promise<GroupRecord> {
  if (record.garbage.length === 0) return record;
  await Promise.all(record.garbage.map((file) => rm(group.path(file), { force: true })));
  return group.remember({ ...record, garbage: [] });
}
