/** A request that somebody made at either site, carried out by the one that may. */
import type { GroupId, SagaId, SiteId } from '../domain/ids.ts';
import { Failure, Refusal, refuse } from '../domain/refusal.ts';
import { isPaused } from '../domain/replication-session.ts';
import type { Errand, ErrandAnswer, SentErrand } from '../ports/errands.ts';
import { sessionOf } from '../sagas/offer.ts';
import { protect } from '../sagas/protect.ts';
import type { AppPorts, Job } from './app-ports.ts';
import { recordAudit } from './audit.ts';
import { changeMembers, createGroupOf, deleteGroup, renameGroup } from './change-group.ts';
import { deleteVolume } from './change-volume.ts';
import { createVolume } from './create-volume.ts';
import { failOverGroup, preflightFailover } from './fail-over-group.ts';
import { handOverGroup } from './hand-over-group.ts';
import { keepMirror } from './keep-mirror.ts';
import { pairVolumes, partVolumes } from './pair-volumes.ts';
import { pauseSession, resumeSession } from './pause-session.ts';
import { endProtection, protectGroup, synchronizeGroup } from './protect-group.ts';
import { reprotectGroup } from './reprotect-group.ts';

/**
 * Carries a request out at this site. Where it is a long one the answer has the job.
 *
 * @throws Refusal of the use case that the verb names
 */
export async function runErrand(
  ports: AppPorts,
  errand: Errand,
  by: string,
): Promise<ErrandAnswer> {
  switch (errand.verb) {
    case 'create_volume': {
      const { volumeId, jobId } = await createVolume(ports, errand);
      return { id: volumeId, jobId };
    }
    case 'delete_volume':
      return deleteVolume(ports, errand);
    case 'pair_volumes':
      await pairVolumes(ports, errand);
      return { id: errand.standIn.pairId };
    case 'part_volumes':
      await partVolumes(ports, errand);
      return {};
    case 'create_group': {
      const { groupId, jobId } = await createGroupOf(ports, errand);
      return { id: groupId, jobId };
    }
    case 'change_group':
      return changeGroup(ports, errand);
    case 'delete_group':
      return dissolveGroup(ports, errand.groupId);
    case 'replicate':
      return replicateGroup(ports, { ...errand, by });
    case 'pause':
      await stopGroup(ports, errand.groupId, by);
      return {};
    case 'hand_over':
      return handOverGroup(ports, { groupId: errand.groupId, reverse: errand.reverse !== false });
    case 'fail_over': {
      const request = { groupId: errand.groupId };
      const { confirmation } = await preflightFailover(ports, request);
      return { jobId: (await failOverGroup(ports, { ...request, confirmation })).jobId };
    }
    case 'reprotect':
      return reprotectGroup(ports, errand);
  }
}

/** The same for a peer's caller: what came of it is in this site's audit log, too. */
export async function runErrandFor(
  ports: AppPorts,
  from: SiteId,
  { errand, by }: SentErrand,
): Promise<ErrandAnswer> {
  const peer = await ports.store.read((tx) => tx.peers.need(from));
  const line = {
    user: `${by} at ${peer.name}`,
    from: peer.host,
    what: `errand ${errand.verb}`,
    target: targetOf(errand),
  };
  try {
    const answer = await runErrand(ports, errand, line.user);
    await recordAudit(ports, { ...line, result: answer.jobId ?? answer.id ?? 'done' });
    return answer;
  } catch (error) {
    const result = error instanceof Refusal ? error.reason.code : 'failed';
    await recordAudit(ports, { ...line, result });
    throw error;
  }
}

/** Members first: they may be refused, and then the name stays, too. */
async function changeGroup(
  ports: AppPorts,
  { groupId, add, remove, name, description }: Errand & { readonly verb: 'change_group' },
): Promise<ErrandAnswer> {
  const moves = add.length + remove.length > 0;
  const job = moves ? await changeMembers(ports, { groupId, add, remove }) : {};
  if (name !== undefined || description !== undefined) {
    await renameGroup(ports, { groupId, name, description });
  }
  return job;
}

/** How old the point may become from which a mirror that was lost begins again. */
const SYNCHRONOUS_RPO_SECONDS = 60;

/** Replication begins, synchronous, goes on after a pause, or catches up now: whichever the group needs. */
async function replicateGroup(
  ports: AppPorts,
  { groupId, peerId, by }: ReplicateGroup,
): Promise<ErrandAnswer> {
  const { session, operation } = await ports.store.read(async (tx) => {
    const group = await tx.groups.need(groupId);
    const running = group.operation && (await tx.sagas.get(group.operation));
    return { session: await sessionOf(tx, groupId), operation: running };
  });
  // It begins already.
  if (operation?.kind === protect.kind) return { jobId: operation.id };
  if (session === undefined) {
    const rpoSeconds = SYNCHRONOUS_RPO_SECONDS;
    const { jobId } = await protectGroup(ports, { groupId, peerId, rpoSeconds, mode: 'sync' });
    return { jobId };
  }
  const { id: sessionId, cycle, pause } = session;
  if (cycle !== undefined && !isPaused(session)) return { jobId: cycle.sagaId };
  if (session.state !== 'paused') return synchronizeGroup(ports, { groupId });
  // It was paused while the other site did not answer: first both sides are, then neither.
  if (pause?.bothSides === false) await pauseSession(ports, { sessionId, by, event: 'stop' });
  await resumeSession(ports, { sessionId });
  return synchronizeGroup(ports, { groupId });
}

interface ReplicateGroup {
  readonly groupId: GroupId;
  readonly peerId: SiteId;
  readonly by: string;
}

/**
 * Returns when nothing is sent any more, by cycle or mirror. A group that is not replicated or paused
 * stays as it is.
 */
async function stopGroup(ports: AppPorts, groupId: GroupId, by: string): Promise<void> {
  const session = await ports.store.read(async (tx) => {
    await tx.groups.need(groupId);
    return sessionOf(tx, groupId);
  });
  if (session === undefined) return;
  const { id: sessionId, cycle } = session;
  const paused = isPaused(session)
    ? session
    : await pauseSession(ports, { sessionId, by, event: 'stop' });
  // The mirror watch would do it soon; who asked goes by the answer.
  if (paused.sync !== undefined) await keepMirror(ports, paused, 'level');
  if (cycle !== undefined) await ports.sagas.ended(cycle.sagaId);
}

/**
 * Ends an empty group's replication, and takes the group away. Cut short between the two it
 * leaves an empty group without a session, and a repeat takes that away.
 */
async function dissolveGroup(ports: AppPorts, groupId: GroupId): Promise<Job> {
  const { group, session, link } = await ports.store.read(async (tx) => {
    const found = await sessionOf(tx, groupId);
    return {
      group: await tx.groups.need(groupId),
      session: found,
      link: found && (await tx.links.get(found.peerId)),
    };
  });
  if (group.volumeIds.length > 0) {
    refuse({
      code: 'in_use',
      what: 'group',
      id: groupId,
      by: `${group.volumeIds.length} volume(s)`,
    });
  }
  if (session !== undefined) {
    if (link?.state === 'down') {
      const detail = link.detail ?? 'no heartbeat';
      refuse({ code: 'peer_unreachable', siteId: session.peerId, detail });
    }
    const end = { groupId, discardCopy: true };
    await endOf(ports, await ports.store.transaction((tx) => endProtection(tx, ports, end)));
  }
  return deleteGroup(ports, { groupId });
}

async function endOf({ sagas }: AppPorts, { jobId }: Job): Promise<SagaId> {
  const { state, outcome } = await sagas.ended(jobId);
  if (state === 'done') return jobId;
  if (outcome?.reason !== undefined) refuse(outcome.reason);
  throw new Failure(outcome?.message ?? `job ${jobId} was undone`);
}

function targetOf(errand: Errand): string {
  if ('groupId' in errand) return errand.groupId;
  return 'volumeId' in errand ? errand.volumeId : errand.name;
}
