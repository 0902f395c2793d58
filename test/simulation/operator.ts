/** An operator who asks for anything at any time, and mostly at the right site. */
import type { App } from '../../src/app/app.ts';
import type { Group } from '../../src/domain/group.ts';
import { Failure, Refusal } from '../../src/domain/refusal.ts';
import type { ReplicationSession } from '../../src/domain/replication-session.ts';
import type { Observed } from './check-lines.ts';
import type { Random } from './random.ts';
import type { Story } from './story.ts';
import { Violation } from './story.ts';
import type { Truth } from './truth.ts';
import { unprotect as endSession } from '../support/unprotect.ts';

export interface OperatorWorld {
  readonly observed: readonly Observed[];
  readonly truth: Truth;
  readonly random: Random;
  readonly story: Story;
  readonly onViolation: (violation: unknown) => void;
}

interface Question {
  readonly at: Observed;
  readonly group: Group;
  readonly session: ReplicationSession | undefined;
}

type Ask = (app: App, question: Question, world: OperatorWorld) => Promise<unknown>;

// oxfmt-ignore
const questions: readonly (readonly [weight: number, words: string, ask: Ask])[] = [
  [9,  'protect',              protect],
  [6,  'sync',                 (app, { group }) => app.synchronizeGroup({ groupId: group.id })],
  [1.5,'pause',                onSession((app, { id }) => app.pauseSession({ sessionId: id, by: 'operator' }))],
  [1,  'release',              onSession((app, { id }) => app.releaseHosts({ sessionId: id, by: 'operator' }))],
  [5,  'resume',               onSession((app, { id }) => app.resumeSession({ sessionId: id }))],
  [16, 'handover',             handOver],
  [2,  'abort',                abort],
  [3,  'failover',             failOver],
  [9,  'reprotect',            (app, { group }) => app.reprotectGroup({ groupId: group.id })],
  [1.5,'restore',              restore],
  [2,  'test',                 (app, { group }) => app.startFailoverTest({ groupId: group.id })],
  [3,  'end the test',         (app, { group }, { random }) => app.stopFailoverTest({ groupId: group.id, keep: random.chance(0.3) })],
  [1,  'clone',                clone],
  [1,  'discard a copy',       discardCopy],
  [1,  'acknowledge',          (app, { group }) => app.acknowledgeFailover({ groupId: group.id })],
  [3,  'change the session',   changeSession],
  [2,  'resize',               resize],
  [1.5,'add a member',         addMember],
  [1,  'remove a member',      removeMember],
  [0.4,'unprotect',            unprotect],
];

/** Asks once; the answer comes when it comes, or never. */
export function askSomething(world: OperatorWorld): void {
  const { observed, random, truth } = world;
  const groupId = random.pick([...truth.lines.keys()]);
  const [, words, ask] = random.weighted(questions.map((q) => [q[0], q] as const));
  const isHolder = ({ site, mirror }: Observed): boolean =>
    groupId !== undefined && mirror.groups.get(groupId)?.ownership.holder === site.id;
  const atEither = ['pause', 'resume', 'clone', 'discard a copy'].includes(words);
  const atDestination = ['failover', 'test', 'end the test'].includes(words);
  const wanted =
    !atEither && random.chance(0.85)
      ? observed.filter((one) => isHolder(one) !== atDestination)
      : observed;
  const at = random.pick(wanted);
  const group = groupId && at?.mirror.groups.get(groupId);
  if (at === undefined || !group || at.site.app === undefined) return;
  const question = { at, group, session: at.mirror.sessionOf(group.id) };
  void answered(world, at.site.app, question, words, ask);
}

async function answered(
  world: OperatorWorld,
  app: App,
  question: Question,
  words: string,
  ask: Ask,
): Promise<void> {
  const { story, onViolation } = world;
  const asked = `operator at ${question.at.site.name}: ${words} ${question.group.id}`;
  try {
    const answer = await ask(app, question, world);
    story.tell(`${asked}: ${briefly(answer)}`);
  } catch (error) {
    if (error instanceof Refusal) story.tell(`${asked}: refused, ${error.reason.code}`);
    else if (error instanceof Failure) story.tell(`${asked}: failed, ${error.message}`);
    else onViolation(error);
  }
}

function briefly(answer: unknown): string {
  const { jobId, state } = (answer ?? {}) as { readonly jobId?: string; readonly state?: string };
  return jobId ?? state ?? 'done';
}

function onSession(ask: (app: App, session: ReplicationSession) => Promise<unknown>): Ask {
  return async (app, { session }) => (session === undefined ? 'no session' : ask(app, session));
}

async function protect(
  app: App,
  { at, group }: Question,
  { random, observed }: OperatorWorld,
): Promise<unknown> {
  const peer = observed.find((other) => other !== at);
  if (peer === undefined) return undefined;
  const retainedPoints = random.between(1, 3);
  const rpoSeconds = random.between(5, 15);
  const mode = random.pick(['sync', 'async'] as const);
  const onLoss = mode === 'sync' ? random.pick(['continue', 'hold'] as const) : undefined;
  const peerId = peer.site.id;
  const request = { groupId: group.id, peerId, rpoSeconds, retainedPoints, mode, onLoss };
  return app.protectGroup(request);
}

/** Sometimes asks twice: the second answer is the first one's job while that runs. */
async function handOver(
  app: App,
  { at, group }: Question,
  { random }: OperatorWorld,
): Promise<unknown> {
  const request = { groupId: group.id, reverse: random.chance(0.7) };
  const isRepeated = random.chance(0.3);
  const first = await app.handOverGroup(request);
  if (!isRepeated) return first;
  const second = await app.handOverGroup(request);
  const began = at.mirror.sagas.get(first.jobId);
  if (second.jobId !== first.jobId && began?.endedAt === undefined) {
    throw new Violation(
      `repeat is safe: handover ${first.jobId} was asked again and is ${second.jobId}`,
    );
  }
  return second;
}

async function abort(
  app: App,
  { at, session, group }: Question,
  { random }: OperatorWorld,
): Promise<unknown> {
  const jobs = [...at.mirror.sagas.values()].filter((s) => s.endedAt === undefined);
  const of = jobs.filter((s) => s.groupId === group.id || s.id === session?.cycle?.sagaId);
  const job = random.pick(of);
  if (job === undefined) return 'nothing runs';
  await app.abortJob({ jobId: job.id, by: 'operator' });
  return { state: `${job.kind} ${job.id}` };
}

async function failOver(
  app: App,
  { at, group }: Question,
  { random, observed }: OperatorWorld,
): Promise<unknown> {
  // An older one than both sites still have leaves them without a point in common.
  const shared = at.mirror
    .pointsOf(group.id)
    .filter(({ id }) => observed.every(({ mirror }) => mirror.points.get(id)?.expiring === false));
  const older = random.chance(0.2) ? random.pick(shared) : undefined;
  const request = { groupId: group.id, pointId: older?.id, force: random.chance(0.3) };
  const { confirmation } = await app.preflightFailover(request);
  return app.failOverGroup({ ...request, confirmation });
}

async function restore(
  app: App,
  { at, group }: Question,
  { random }: OperatorWorld,
): Promise<unknown> {
  const point = random.pick(at.mirror.pointsOf(group.id));
  if (point === undefined) return 'no point';
  const request = { groupId: group.id, to: { pointId: point.id } };
  const { confirmation } = await app.preflightRestore(request);
  return app.restoreGroup({ ...request, confirmation });
}

async function clone(app: App, { group }: Question, { random }: OperatorWorld): Promise<unknown> {
  const name = `clone-${random.between(1, 1_000_000)}`;
  return app.cloneGroup({ groupId: group.id, name, writable: random.chance(0.5) });
}

async function discardCopy(
  app: App,
  { group }: Question,
  { random }: OperatorWorld,
): Promise<unknown> {
  const copy = random.pick(await app.listCopies({ groupId: group.id }));
  return copy && app.discardCopy({ copyId: copy.id });
}

async function changeSession(
  app: App,
  { session }: Question,
  { random }: OperatorWorld,
): Promise<unknown> {
  const retainedPoints = random.between(1, 4);
  const mode = random.pick(['sync', 'async', undefined] as const);
  const onLoss =
    mode === 'sync' ? random.pick(['continue', 'hold', undefined] as const) : undefined;
  return session && app.changeSession({ sessionId: session.id, retainedPoints, mode, onLoss });
}

async function resize(app: App, { group }: Question, { random }: OperatorWorld): Promise<unknown> {
  const volumeId = random.pick(group.volumeIds);
  if (volumeId === undefined) return undefined;
  const { sizeBytes } = await app.showVolume(volumeId);
  return app.resizeVolume({ volumeId, sizeBytes: sizeBytes + 64 * 1024 });
}

/**
 * Members are changed while no other site has a copy of the group; with MEMBERS=1 at any time.
 */
function isHereAlone({ id }: Group, observed: readonly Observed[]): boolean {
  if (process.env['MEMBERS'] === '1') return true;
  return observed.filter(({ mirror }) => mirror.groups.has(id)).length === 1;
}

async function addMember(
  app: App,
  { at, group }: Question,
  { random, observed }: OperatorWorld,
): Promise<unknown> {
  const groups = [...at.mirror.groups.values()].filter((g) => isHereAlone(g, observed));
  if (!groups.some((g) => g.id === group.id)) return 'not asked: it is at both sites';
  const lone = groups.filter((g) => g.implicit && g.id !== group.id);
  const volumeId = random.pick(lone)?.volumeIds[0];
  return volumeId && app.addVolume({ groupId: group.id, volumeId });
}

async function removeMember(
  app: App,
  { group }: Question,
  { random, observed }: OperatorWorld,
): Promise<unknown> {
  const volumeId = random.pick(group.volumeIds);
  if (volumeId === undefined || group.volumeIds.length < 2) return undefined;
  if (!isHereAlone(group, observed)) return 'not asked: it is at both sites';
  return app.removeVolume({ groupId: group.id, volumeId });
}

async function unprotect(
  app: App,
  { group }: Question,
  { random, truth }: OperatorWorld,
): Promise<unknown> {
  const discardCopy = random.chance(0.3);
  if (discardCopy) truth.discarded.add(group.id);
  return endSession(app, { groupId: group.id, discardCopy, force: random.chance(0.2) });
}
