/** An import as the API shows it. */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { ImportView } from '../../app/import-views.ts';
import {
  MAX_ROLLBACK_SECONDS,
  MIN_ROLLBACK_SECONDS,
  sourceConditions,
} from '../../domain/import-rollback.ts';
import type { RollbackWindow } from '../../domain/import-rollback.ts';
import { importStates } from '../../domain/import-session.ts';
import type { ImportSession } from '../../domain/import-session.ts';
import { imageFormats } from '../../domain/import-source.ts';
import { Progress } from './jobs.ts';
import { Instant, Named, SizeBytes, Uuid, iso, isoOr, known } from './schemas.ts';

export const Rate = Type.Integer({ minimum: 1, description: 'Of the copy. Absent: no limit.' });
const Range = Type.Object({
  volumeId: Uuid,
  offset: Type.Integer(),
  lengthBytes: Type.Integer(),
});

export const RollbackSeconds = Type.Integer({
  minimum: MIN_ROLLBACK_SECONDS,
  maximum: MAX_ROLLBACK_SECONDS,
  description: 'How long the source gets what hosts write after the cut-over. Absent: not at all.',
});

const Rollback = Type.Object(
  {
    until: Instant,
    source: Type.Enum([...sourceConditions]),
    since: Instant,
    leftBytes: Type.Integer({ description: 'To be written to the source yet.' }),
    why: Type.Optional(Type.String()),
  },
  { description: 'Present while hosts may be taken back to the source.' },
);

export const Import = Type.Object({
  id: Uuid,
  name: Type.String(),
  source: Named,
  group: Type.Optional(Named),
  volumes: Type.Array(
    Type.Object({
      id: Uuid,
      name: Type.String(),
      sizeBytes: SizeBytes,
      locator: Type.String(),
      format: Type.Enum([...imageFormats]),
      readOnly: Type.Boolean(),
    }),
  ),
  state: Type.Enum([...importStates]),
  stateSince: Instant,
  trouble: Type.Optional(Type.String({ description: 'Why it is not as it was asked for.' })),
  left: Type.Optional(
    Type.String({ description: 'In what state a cancel left the source and our copy.' }),
  ),
  jobId: Type.Optional(Uuid),
  progress: Type.Optional(
    Type.Object({
      copiedBytes: Type.Integer(),
      totalBytes: Type.Integer(),
      bytesPerSecond: Type.Optional(Type.Integer()),
      averageBytesPerSecond: Type.Optional(Type.Integer()),
      etaSeconds: Type.Optional(Type.Integer()),
      held: Type.Optional(Type.String({ description: 'Why it stands still by itself.' })),
    }),
  ),
  comparing: Type.Optional(Progress),
  comparison: Type.Optional(
    Type.Object({
      comparedAt: Instant,
      comparedBytes: Type.Integer(),
      hash: Type.Optional(Type.String({ description: 'Absent: the copies differ.' })),
      differing: Type.Array(Range),
    }),
  ),
  unreadable: Type.Optional(
    Type.Array(Range, { description: 'Where the source cannot be read. Absent: nowhere known.' }),
  ),
  restarts: Type.Integer({ description: 'How often the copy began from the start again.' }),
  restartedBecause: Type.Optional(Type.String()),
  cutOverPauseMs: Type.Optional(Type.Number({ description: 'How long hosts waited.' })),
  rollbackForSeconds: Type.Optional(RollbackSeconds),
  rollback: Type.Optional(Rollback),
  automaticCutover: Type.Boolean(),
  verify: Type.Boolean(),
  waitForHosts: Type.Boolean(),
  hosts: Type.Array(Type.String()),
  bytesPerSecond: Type.Optional(Rate),
  scheduledAt: Type.Optional(Instant),
  createdAt: Instant,
  copyStartedAt: Type.Optional(Instant),
  endedAt: Type.Optional(Instant),
});

/** What the store's row itself tells; an event has no more. */
export function sayImportRow({ id, name, state, stateSince, trouble, progress }: ImportSession) {
  const copied = progress && known(progress);
  return known({ id, name, state, stateSince: iso(stateSince), trouble, progress: copied });
}

export function sayImport(session: ImportView): Static<typeof Import> {
  const { settings, volumes, comparison, progress, comparing, sourceId, groupId } = session;
  return known({
    id: session.id,
    name: session.name,
    source: { id: sourceId, name: session.sourceName },
    group: session.groupName === undefined ? undefined : { id: groupId, name: session.groupName },
    volumes: volumes.map(({ volumeId: id, name, sizeBytes, from }) => ({
      id,
      name,
      sizeBytes,
      ...from,
    })),
    state: session.state,
    stateSince: iso(session.stateSince),
    trouble: session.trouble,
    left: session.left,
    jobId: session.jobId,
    progress: progress && known(progress),
    comparing: comparing && known(comparing),
    comparison:
      comparison &&
      known({
        comparedAt: iso(comparison.comparedAt),
        comparedBytes: comparison.comparedBytes,
        hash: comparison.hash,
        differing: comparison.differing.map((range) => ({ ...range })),
      }),
    unreadable: session.unreadable?.map((range) => ({ ...range })),
    restarts: session.restarts,
    restartedBecause: session.restartedBecause,
    cutOverPauseMs: session.cutOverPauseMs,
    rollbackForSeconds: settings.rollbackForSeconds,
    rollback: session.rollback && sayRollback(session.rollback),
    automaticCutover: settings.automaticCutover,
    verify: settings.verify,
    waitForHosts: settings.waitForHosts,
    hosts: [...settings.hosts],
    bytesPerSecond: settings.bytesPerSecond,
    scheduledAt: isoOr(settings.scheduledAt),
    createdAt: iso(session.createdAt),
    copyStartedAt: isoOr(session.copyStartedAt),
    endedAt: isoOr(session.endedAt),
  });
}

function sayRollback({ until, source, since, leftBytes, why }: RollbackWindow) {
  return known({ until: iso(until), source, since: iso(since), leftBytes, why });
}
