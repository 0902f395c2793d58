/** A replication session in a few words. */
import type { Session } from './answers.ts';
import { sayTransfer } from './follow-job.ts';
import { sayBytes, sayInstant, saySeconds } from './quantities.ts';

/** `to lyon, ok, 4 s of 30 s` */
export function sayReplication(session: Session): string {
  const { role, peer, state } = session;
  const direction = role === 'source' ? 'to' : 'from';
  const data = session.sync?.condition.replaceAll('_', ' ');
  const words = [`${direction} ${peer.name}`, state.replaceAll('_', ' '), data, sayRpo(session)];
  return words.filter((word) => word !== undefined).join(', ');
}

/** How old the newest point at the destination is, and how old it may be. */
export function sayRpo({ rpoNowSeconds, rpoSeconds, rpoMet }: Session): string {
  if (rpoNowSeconds === undefined) return 'no point yet';
  const missed = rpoMet ? '' : ' MISSED';
  return `${saySeconds(rpoNowSeconds)} of ${saySeconds(rpoSeconds)}${missed}`;
}

/** At the holder until when; at the other site only that it is. */
function sayProvisional({ provisional, window }: Session): string | undefined {
  if (window === undefined) return provisional ? 'it may still be rolled back to here' : undefined;
  return `it can be rolled back to ${window.returnsTo.name} until ${sayInstant(window.endsAt)}`;
}

function sayWhere({ bothSides }: NonNullable<Session['pause']>): string {
  return bothSides ? 'at both sites' : 'at this site only; pause it once more to pause the other';
}

/** `in sync since 2026-11-21 03:10: every write is at both sites; hosts wait 3 s at most` */
function sayCondition({
  condition,
  since,
  why,
  stallSeconds,
  onLoss,
}: NonNullable<Session['sync']>): string {
  const state = `${condition.replaceAll('_', ' ')} since ${sayInstant(since)}`;
  const wait = onLoss === 'hold' ? 'as long as it takes' : `${stallSeconds} s at most`;
  return `${state}: ${why}; hosts wait ${wait}`;
}

function sayBacklog({ bytes, estimatedSeconds }: NonNullable<Session['backlog']>): string {
  const takes = estimatedSeconds === undefined ? '' : `, about ${saySeconds(estimatedSeconds)}`;
  return `${sayBytes(bytes)} to send${takes}`;
}

export function sessionFacts(
  session: Session,
): readonly (readonly [name: string, value: string | undefined])[] {
  const { lastCycle, cycle, link, bytesPerSecond, nextCycleAt } = session;
  return [
    ['replication', `${session.role === 'source' ? 'to' : 'from'} ${session.peer.name}`],
    ['state', session.state.replaceAll('_', ' ')],
    ['provisional', sayProvisional(session)],
    ['paused', session.pause && sayWhere(session.pause)],
    ['waiting', session.backlog && sayBacklog(session.backlog)],
    ['data', session.sync && sayCondition(session.sync)],
    ['because', session.parkedBecause],
    ['RPO', sayRpo(session)],
    ['limit', bytesPerSecond === undefined ? undefined : `${sayBytes(bytesPerSecond)}/s`],
    ['keeps', `${session.retainedPoints} points`],
    [
      'next copy',
      session.comparesWith && 'by hashes of all bytes: the sites have no point in common',
    ],
    ['running', cycle && (cycle.progress ? sayTransfer(cycle.progress) : 'a cycle begins')],
    [
      'last cycle',
      lastCycle &&
        `${lastCycle.kind} (${lastCycle.why}), ${sayBytes(lastCycle.sentBytes)} in ` +
          `${Math.round(lastCycle.durationMs)} ms, ${sayInstant(lastCycle.completedAt)}`,
    ],
    ['next cycle', nextCycleAt === undefined ? undefined : sayInstant(nextCycleAt)],
    ['link', link && [link.state, link.detail].filter((part) => part !== undefined).join(', ')],
  ];
}
