/**
 * A failover test that ends by itself, and a signed report of what was seen on it.
 *
 *   (the test's copy opens) ─ hash both sites ─ look at the copy ─ end the test ══ report
 *
 * Whatever becomes of it, the test is ended: by its step, by its undo, and at the latest by its term.
 */
import type { DrillReport, DrillVolume } from '../domain/drill.ts';
import { checksOf, verdictOf } from '../domain/drill.ts';
import type { DrillCheck } from '../domain/drill.ts';
import type { CopyId, DrillId, GroupId, Instant, SagaId, SiteId } from '../domain/ids.ts';
import { ageSeconds } from '../domain/recovery-point.ts';
import type { RecoveryPoint } from '../domain/recovery-point.ts';
import { Failure, Refusal } from '../domain/refusal.ts';
import type { VolumeHash } from '../ports/engine.ts';
import type { CheckedVolumes } from '../ports/drill-tools.ts';
import type { Transaction } from '../ports/store.ts';
import { closeCopy, runningOnCopy } from './copies.ts';
import { saga, startSaga } from './saga.ts';
import type { SagaPorts, StepControl } from './saga.ts';

export interface Drill {
  readonly drillId: DrillId;
  readonly groupId: GroupId;
  /** Retention may take it once the test has ended. */
  readonly point: Pick<RecoveryPoint, 'id' | 'sequence' | 'sealedAt' | 'volumes'>;
  readonly copyId: CopyId;
  /** Opens the copy. */
  readonly openSagaId: SagaId;
  /** Closes it. */
  readonly closeSagaId: SagaId;
  readonly peerId: SiteId;
  /** That the copy is open to. */
  readonly hostName: string;
  readonly operator: string;
  readonly startedAt: Instant;
}

interface Timed<T> {
  readonly seen: T;
  readonly durationMs: number;
}

interface Hashes {
  readonly here: readonly VolumeHash[];
  readonly there: readonly VolumeHash[];
  /** Why the other site's are not known. */
  readonly silence: string | undefined;
}

export const drill = saga<Drill>('drill')
  .step('open', {
    do: (ports, { openSagaId }, _done, { ended }) =>
      timed(ports, async () => {
        const { state, outcome } = await ended(openSagaId);
        if (state !== 'undone') return;
        if (outcome?.reason !== undefined) throw new Refusal(outcome.reason);
        throw new Failure(`the test could not be opened: ${outcome?.message}`);
      }),
    undo: (ports, d, control) => endTest(ports, d, control),
  })
  .step('hash', { do: (ports, d) => timed(ports, () => hashBoth(ports, d)) })
  .step('check', {
    do: (ports, d, _done, { signal }) => timed(ports, () => look(ports, d, signal)),
  })
  .step('end-test', {
    do: (ports, d, _done, control) => timed(ports, () => endTest(ports, d, control)),
  })
  // From here on it is written up, so that no report is ever taken back.
  .pointOfNoReturn()
  .step('report', {
    do: async (ports, d, done) => {
      const { store, drillTools, clock } = ports;
      await store.transaction(async (tx) => {
        if ((await tx.drills.get(d.drillId)) !== undefined) return;
        const timings = (['open', 'hash', 'check', 'end-test'] as const).map((step) => ({
          step,
          durationMs: done[step].durationMs,
        }));
        const facts = { timings, hashes: done.hash, checks: done.check, endedAt: clock.now() };
        const signed = drillTools.sign(await write(tx, ports, d, facts));
        await tx.drills.insert({ id: d.drillId, groupId: d.groupId, ...signed });
      });
    },
  });

async function timed<T>(
  { clock }: Pick<SagaPorts, 'clock'>,
  work: () => Promise<T>,
): Promise<Timed<T>> {
  const beganMs = clock.monotonicMs();
  const seen = await work();
  return { seen, durationMs: Math.round(clock.monotonicMs() - beganMs) };
}

/** The other site's part of it may be missing: that is said, and no reason to stop. */
async function hashBoth({ engine, peer }: SagaPorts, d: Drill): Promise<Hashes> {
  const { groupId, peerId } = d;
  const pointId = d.point.id;
  const here = await engine.hashPoint(groupId, pointId);
  try {
    return { here, there: await peer.hashPoint(peerId, groupId, pointId), silence: undefined };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { here, there: [], silence: error.message };
  }
}

async function look(
  { store, engine, drillTools, here }: SagaPorts,
  { drillId, groupId, copyId, point, hostName }: Drill,
  signal: AbortSignal,
): Promise<CheckedVolumes> {
  const { name } = await store.read((tx) => tx.groups.need(groupId));
  const { copies } = await engine.inspect(groupId);
  const copy = copies.find((one) => one.copyId === copyId);
  if (copy?.address === undefined) throw new Failure(`copy ${copyId} is not open`);
  const { address, volumes } = copy;
  return drillTools.check(
    { drillId, groupName: name, pointId: point.id, address, tlsName: here, hostName, volumes },
    signal,
  );
}

/** Ends the test, whoever or whatever has begun to; does nothing when it is gone. */
async function endTest(
  { store, clock }: SagaPorts,
  { copyId, groupId, openSagaId, closeSagaId }: Drill,
  { ended }: Pick<StepControl, 'ended'>,
): Promise<void> {
  await ended(openSagaId);
  const closing = await store.transaction(async (tx) => {
    if ((await tx.sagas.get(closeSagaId)) !== undefined) return closeSagaId;
    const copy = await tx.copies.get(copyId);
    if (copy === undefined) return undefined;
    // Somebody ends it by hand, or its term does.
    if (copy.state === 'closing') return runningOnCopy(tx, { copyId, groupId });
    await tx.copies.change(copyId, (c) => ({ ...c, state: 'closing' }));
    const input = { copyId, groupId, keptForkId: undefined };
    return startSaga(tx, closeCopy, input, { sagaId: closeSagaId, groupId, now: clock.now() });
  });
  if (closing !== undefined) await ended(closing);
}

interface Facts {
  readonly timings: DrillReport['timings'];
  readonly hashes: Timed<Hashes>;
  readonly checks: Timed<CheckedVolumes>;
  readonly endedAt: Instant;
}

async function write(
  tx: Transaction,
  { here, drillTools }: SagaPorts,
  d: Drill,
  { timings, hashes, checks, endedAt }: Facts,
): Promise<DrillReport> {
  const { drillId, groupId, point, copyId, operator, startedAt } = d;
  const group = await tx.groups.need(groupId);
  const last = (await tx.drills.all()).at(-1);
  const volumes = point.volumes.map(({ volumeId, name, sizeBytes }): DrillVolume => {
    const hashOf = (all: readonly VolumeHash[]): string | undefined =>
      all.find((one) => one.volumeId === volumeId)?.hash;
    const found = checks.seen.volumes.find((one) => one.volumeId === volumeId)?.checks ?? [];
    const [hashHere, hashThere] = [hashOf(hashes.seen.here), hashOf(hashes.seen.there)];
    return { volumeId, name, sizeBytes, hashHere, hashThere, checks: found };
  });
  const report: DrillReport = {
    format: 'baton-drill-1',
    drillId,
    copyId,
    group: { id: groupId, name: group.name },
    site: { id: here, name: await siteName(tx, here) },
    holder: { id: group.ownership.holder, name: await siteName(tx, group.ownership.holder) },
    operator,
    software: drillTools.software,
    point: {
      id: point.id,
      sequence: point.sequence,
      sealedAt: iso(point.sealedAt),
      ageSeconds: ageSeconds(point, startedAt),
    },
    startedAt: iso(startedAt),
    endedAt: iso(endedAt),
    timings,
    volumes,
    hashes: compared(volumes, hashes),
    command: checks.seen.command,
    ended: (await tx.copies.get(copyId)) === undefined,
    verdict: 'not_possible',
    previous: last && { drillId: last.id, hash: last.hash },
  };
  return { ...report, verdict: verdictOf(checksOf(report)) };
}

function compared(
  volumes: readonly DrillVolume[],
  { seen, durationMs }: Timed<Hashes>,
): DrillCheck {
  const what = 'the same bytes at both sites';
  if (seen.silence !== undefined) {
    return { what, verdict: 'not_possible', detail: seen.silence, durationMs };
  }
  const differ = volumes.filter(({ hashHere, hashThere }) => hashHere !== hashThere);
  if (differ.length === 0) {
    return {
      what,
      verdict: 'passed',
      detail: `${volumes.length} volume(s) by SHA-256`,
      durationMs,
    };
  }
  const names = differ.map(({ name }) => name).join(', ');
  return { what, verdict: 'failed', detail: `differ: ${names}`, durationMs };
}

async function siteName(tx: Transaction, id: SiteId): Promise<string> {
  return (await tx.site.get(id))?.name ?? (await tx.peers.get(id))?.name ?? id;
}

function iso(at: Instant): string {
  return new Date(at).toISOString();
}
