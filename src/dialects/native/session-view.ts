/** A replication session as the API shows it. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { modeOf } from '../../app/session-mode.ts';
import type { SessionView } from '../../app/views.ts';
import { dataConditionStates } from '../../domain/data-condition.ts';
import { sessionStates } from '../../domain/replication-session.ts';
import type { ReplicationSession } from '../../domain/replication-session.ts';
import type { Synchrony } from '../../domain/synchrony.ts';
import { Window, sayWindow } from './failover-window.ts';
import { Progress } from './jobs.ts';
import { Link, sayLink } from './peers.ts';
import { Instant, Named, Uuid, iso, isoOr, known } from './schemas.ts';

export const Session = Type.Object({
  id: Uuid,
  group: Named,
  peer: Named,
  role: Type.Enum(['source', 'destination']),
  state: Type.Enum([...sessionStates]),
  stateSince: Instant,
  mode: Type.Enum(['async', 'sync']),
  sync: Type.Optional(
    Type.Object({
      condition: Type.Enum([...dataConditionStates]),
      since: Instant,
      why: Type.String(),
      stallSeconds: Type.Integer({ description: 'Hosts wait no longer for the other site.' }),
      onLoss: Type.Enum(['continue', 'hold']),
      completeUpTo: Type.Optional(
        Type.String({
          format: 'date-time',
          description:
            "At the destination: all that the source's hosts were answered for until then is here.",
        }),
      ),
    }),
  ),
  provisional: Type.Boolean({ description: "The holder's failover can still be rolled back." }),
  window: Type.Optional(Window),
  parkedBecause: Type.Optional(
    Type.String({ description: 'Why the system paused it; it tries again by itself.' }),
  ),
  pause: Type.Optional(
    Type.Object({
      before: Type.Enum([...sessionStates]),
      bothSides: Type.Boolean({ description: 'False: the other site has not been paused.' }),
    }),
  ),
  failoverTest: Type.Optional(
    Type.Object({ copyId: Uuid, name: Type.String() }, { description: 'It runs at this site.' }),
  ),
  backlog: Type.Optional(
    Type.Object(
      {
        bytes: Type.Integer(),
        estimatedSeconds: Type.Optional(Type.Integer()),
      },
      { description: 'What adds up at a source while its cycles rest; it travels as one delta.' },
    ),
  ),
  rpoSeconds: Type.Integer(),
  rpoNowSeconds: Type.Optional(
    Type.Integer({
      description:
        'Age of the newest point that the destination has complete. Absent: it has none.',
    }),
  ),
  rpoMet: Type.Boolean(),
  bytesPerSecond: Type.Optional(Type.Integer({ description: 'Absent: no limit.' })),
  retainedPoints: Type.Integer(),
  newestPoint: Type.Optional(
    Type.Object({ id: Uuid, sequence: Type.Integer(), sealedAt: Instant }),
  ),
  comparesWith: Type.Optional(
    Type.String({
      format: 'uuid',
      description:
        'The sites have no point in common: the next cycle compares all bytes with this point of ' +
        "the destination's by their hashes, and sends what differs.",
    }),
  ),
  cycle: Type.Optional(
    Type.Object({
      jobId: Uuid,
      pointId: Uuid,
      startedAt: Instant,
      progress: Type.Optional(Progress),
    }),
  ),
  lastCycle: Type.Optional(
    Type.Object({
      pointId: Uuid,
      kind: Type.Enum(['full', 'delta']),
      why: Type.String(),
      sealedAt: Instant,
      completedAt: Instant,
      durationMs: Type.Number(),
      sentBytes: Type.Integer(),
      restarts: Type.Integer(),
    }),
  ),
  nextCycleAt: Type.Optional(Instant),
  link: Type.Optional(Link),
  createdAt: Instant,
});

/** What the store's row itself tells; an event has no more. */
export function saySessionRow(session: ReplicationSession) {
  const { cycle, lastCycle } = session;
  return known({
    id: session.id,
    role: session.role,
    state: session.state,
    stateSince: iso(session.stateSince),
    mode: modeOf(session),
    sync: session.sync && saySync(session.sync),
    parkedBecause: session.parkedBecause,
    pause: session.pause,
    rpoSeconds: session.rpoSeconds,
    bytesPerSecond: session.bytesPerSecond,
    retainedPoints: session.retainedPoints,
    comparesWith: session.comparesWith,
    cycle: cycle && {
      jobId: cycle.sagaId,
      pointId: cycle.pointId,
      startedAt: iso(cycle.startedAt),
    },
    lastCycle: lastCycle && {
      ...lastCycle,
      sealedAt: iso(lastCycle.sealedAt),
      completedAt: iso(lastCycle.completedAt),
    },
    createdAt: iso(session.createdAt),
  });
}

function saySync({ condition, stallSeconds, onLoss = 'continue', completeUpTo }: Synchrony) {
  const { state, since, why } = condition;
  return known({
    condition: state,
    since: iso(since),
    why,
    stallSeconds,
    onLoss,
    completeUpTo: isoOr(completeUpTo),
  });
}

export function saySession(session: SessionView): Static<typeof Session> {
  const { newestPoint, link, progress, backlog, failoverTest, provisional, window } = session;
  const row = saySessionRow(session);
  return known({
    ...row,
    group: { id: session.groupId, name: session.groupName },
    peer: { id: session.peerId, name: session.peerName },
    provisional,
    window: window && sayWindow(window, session.peerName),
    failoverTest: failoverTest && { copyId: failoverTest.id, name: failoverTest.name },
    backlog: backlog && known(backlog),
    rpoNowSeconds: session.rpoNowSeconds,
    rpoMet: session.rpoMet,
    newestPoint: newestPoint && {
      id: newestPoint.id,
      sequence: newestPoint.sequence,
      sealedAt: iso(newestPoint.sealedAt),
    },
    cycle: row.cycle && known({ ...row.cycle, progress: progress && known(progress) }),
    nextCycleAt: isoOr(session.nextCycleAt),
    link: link && sayLink(link),
  });
}
