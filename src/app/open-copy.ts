import { newId } from '../domain/ids.ts';
import type { CopyId, GroupId, Instant, SagaId } from '../domain/ids.ts';
import {
  MAX_COPIES_PER_GROUP,
  MAX_COPY_TERM_SECONDS,
  MIN_COPY_TERM_SECONDS,
} from '../domain/copy.ts';
import type { Copy, CopyOf } from '../domain/copy.ts';
import { refuse } from '../domain/refusal.ts';
import { newest } from '../domain/recovery-point.ts';
import type { Transaction } from '../ports/store.ts';
import { openCopy } from '../sagas/copies.ts';
import { startSaga } from '../sagas/saga.ts';
import type { Job } from './app-ports.ts';

export interface NewCopy {
  readonly groupId: GroupId;
  readonly name: string;
  readonly purpose: Copy['purpose'];
  readonly shown: Shown;
  readonly writable: boolean;
  /** Absent: the group's. */
  readonly hosts: readonly string[] | undefined;
  readonly termSeconds: number | undefined;
}

export type CopyJob = Job & { readonly copyId: CopyId };

/** Writes a copy down and has it opened, in the caller's transaction. */
export async function startCopy(tx: Transaction, copy: NewCopy, now: Instant): Promise<CopyJob> {
  const { groupId, name, purpose, shown, writable, termSeconds } = copy;
  const group = await tx.groups.need(groupId);
  const hosts = copy.hosts ?? group.hosts;
  await requireHosts(tx, copy.hosts ?? []);
  if (termSeconds !== undefined) requireTerm(termSeconds);
  const others = await tx.copies.where({ groupId });
  if (others.length >= MAX_COPIES_PER_GROUP) {
    refuse({ code: 'limit_reached', what: 'copies per group', limit: MAX_COPIES_PER_GROUP });
  }
  if ((await tx.copies.where({ name })).length > 0) {
    refuse({ code: 'already_exists', what: 'copy', name });
  }
  const copyId = newId<CopyId>();
  const termMs = termSeconds === undefined ? undefined : termSeconds * 1000;
  await tx.copies.insert({
    id: copyId,
    groupId,
    name,
    purpose,
    ...shown,
    writable,
    hosts,
    state: 'opening',
    openedAt: now,
    leftMs: termMs,
  });
  const sagaId = newId<SagaId>();
  await startSaga(tx, openCopy, { copyId, groupId }, { sagaId, groupId, now });
  return { copyId, jobId: sagaId };
}

export type Shown = Pick<Copy, 'of' | 'basePointId'>;

/**
 * What a copy is to show: a point, the newest unless it is named, or a fork whose bytes are here.
 *
 * @throws Refusal `point_missing`, `not_found`, `in_use` (a fork of another site), `wrong_state`
 *   (there is no point yet)
 */
export async function needShown(
  tx: Transaction,
  groupId: GroupId,
  of: CopyOf | undefined,
  here: string,
): Promise<Shown> {
  if (of !== undefined && 'forkId' in of) {
    const fork = await tx.forks.need(of.forkId);
    if (fork.groupId !== groupId) refuse({ code: 'not_found', what: 'fork', id: of.forkId });
    if (fork.siteId !== here) {
      const by = `site ${fork.siteId}, which has its bytes: ask there`;
      refuse({ code: 'in_use', what: 'fork', id: fork.name, by });
    }
    return { of, basePointId: fork.basePointId };
  }
  const points = (await tx.points.where({ groupId })).filter((p) => !p.expiring);
  const point = of === undefined ? newest(points) : points.find((p) => p.id === of.pointId);
  if (point !== undefined) return { of: { pointId: point.id }, basePointId: point.id };
  if (of !== undefined) refuse({ code: 'point_missing', groupId, pointId: of.pointId });
  return refuse({
    code: 'wrong_state',
    what: 'group',
    id: (await tx.groups.need(groupId)).name,
    state: 'without a complete recovery point',
    event: 'copy',
    allowedIn: ['its first point is complete'],
  });
}

async function requireHosts(tx: Transaction, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if ((await tx.hosts.where({ name })).length === 0) {
      refuse({ code: 'not_found', what: 'host', id: name });
    }
  }
}

function requireTerm(seconds: number): void {
  if (
    Number.isSafeInteger(seconds) &&
    seconds >= MIN_COPY_TERM_SECONDS &&
    seconds <= MAX_COPY_TERM_SECONDS
  )
    return;
  refuse({
    code: 'invalid',
    field: 'termSeconds',
    wanted: `a whole number from ${MIN_COPY_TERM_SECONDS} to ${MAX_COPY_TERM_SECONDS}`,
    seen: String(seconds),
  });
}
