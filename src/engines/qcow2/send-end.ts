import type { QmpClient } from '../qmp/client.ts';
import { abortJob, deleteObject } from '../qmp/commands.ts';
import { queryJobs } from '../qmp/queries.ts';
import type { Job } from '../qmp/queries.ts';
import type { Daemon } from './daemon.ts';
import { deleteNodes, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { gatheredNode, isSendNode } from './nodes.ts';
import { gatheredFile } from './record.ts';
import { GATHER_JOB, SEND_JOB } from './send-plan.ts';
import type { GroupRecord } from './record.ts';
import { rm } from 'node:fs/promises';

export const SEND_TLS = 'tls-send';
export const SEND_LIMIT = 'tg-send';

/**
 * Removes all that a send has in the daemon. While its link may be silent the connections are cut
 * first: ending a job waits for its requests, and the daemon with it.
 */
export async function endSend(group: Group, qmp: QmpClient): Promise<void> {
  const jobs = await sendJobs(qmp);
  const { sending } = await group.record();
  if (sending && jobs.some(({ status }) => status !== 'concluded')) {
    await cutLink(group, sending.target);
  }
  for (const job of jobs) await abortJob(qmp, job);
  await deleteSendNodes(group, qmp);
}

/** Of a send whose jobs have ended. */
export async function deleteSendNodes(group: Group, qmp: QmpClient): Promise<void> {
  const graph = await readGraph(qmp);
  await deleteNodes(qmp, graph, [...graph.nodes].filter(isSendNode));
  await Promise.all([deleteObject(qmp, SEND_TLS), deleteObject(qmp, SEND_LIMIT)]);
  const { volumes } = await group.record();
  const gathered = volumes.filter(({ key }) => graph.nodes.has(gatheredNode(key)));
  await Promise.all(
    gathered.map(({ volumeId }) => rm(group.path(gatheredFile(volumeId)), { force: true })),
  );
}

/** @returns the jobs of the send, those that gather included */
export async function sendJobs(qmp: QmpClient): Promise<readonly Job[]> {
  const jobs = await queryJobs(qmp);
  return jobs.filter(({ id }) => id.startsWith(SEND_JOB) || id.startsWith(GATHER_JOB));
}

/** Forgets a send and its progress. Within the group's lock. */
export async function dropSend(
  group: Group,
  record: GroupRecord,
  daemon: Daemon | undefined,
): Promise<GroupRecord> {
  if (!record.sending && !record.comparing) return record;
  if (daemon && record.sending) await endSend(group, daemon.qmp);
  return group.save({ ...record, sending: undefined, comparing: undefined });
}

export async function cutLink(
  group: Group,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<void> {
  const { linkCut, log } = group.site.options;
  try {
    const closed = await linkCut.cutConnections(host, port);
    log?.info({ event: 'link_cut', groupId: group.id, host, port, closed });
  } catch (cause) {
    log?.warn({ event: 'link_not_cut', groupId: group.id, host, port, error: String(cause) });
  }
}
