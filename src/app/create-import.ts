import type { ImportSession, ImportSettings, ImportVolume } from '../domain/import-session.ts';
import { MAX_IMPORT_VOLUMES } from '../domain/import-session.ts';
import { MAX_ROLLBACK_SECONDS, MIN_ROLLBACK_SECONDS } from '../domain/import-rollback.ts';
import { checkSourceVolume } from '../domain/import-source.ts';
import type { ImportSource, WantedSourceVolume } from '../domain/import-source.ts';
import { newId } from '../domain/ids.ts';
import type { ImportId, Instant, PolicyId, SiteId, SourceId, VolumeId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { refuse } from '../domain/refusal.ts';
import { MAX_RPO_SECONDS, MIN_RPO_SECONDS } from '../domain/replication-session.ts';
import { checkSize, serialOf } from '../domain/volume.ts';
import type { Transaction } from '../ports/store.ts';
import { assign } from '../sagas/policies.ts';
import type { AppPorts } from './app-ports.ts';
import { insertGroup } from './create-volume.ts';

export interface CreateImport {
  /** Of the session, unique; absent: the volume's or group's name. */
  readonly name?: string | undefined;
  readonly sourceId: SourceId;
  readonly volumes: readonly WantedImportVolume[];
  /** Names the group of several volumes, which are cut over together; a single one stands alone. */
  readonly group?: string | undefined;
  /** Names of known hosts that may attach the volumes. */
  readonly hosts?: readonly string[] | undefined;
  readonly automaticCutover?: boolean | undefined;
  /** On unless told. */
  readonly verify?: boolean | undefined;
  /** Copies only when told (`startImportCopy`), after hosts have moved. */
  readonly waitForHosts?: boolean | undefined;
  readonly bytesPerSecond?: number | undefined;
  readonly scheduledAt?: Instant | undefined;
  readonly protect?: { readonly peerId: SiteId; readonly rpoSeconds: number } | undefined;
  /** Protects the group that it makes, once it is complete; not beside `protect`. */
  readonly policyId?: PolicyId | undefined;
  /** The source is kept current for so long after the cut-over; absent: it is not. */
  readonly rollbackForSeconds?: number | undefined;
}

export interface WantedImportVolume extends WantedSourceVolume {
  /** Of the volume that it becomes. */
  readonly name: string;
}

type Deps = Pick<AppPorts, 'store' | 'importer' | 'clock' | 'here'>;

/**
 * Begins to bring volumes in, at once, when there is a slot, or at an instant. The volumes and
 * their group are there from now on, and hosts attach them as soon as the source is open.
 *
 * @throws Refusal `invalid`, `not_found` (source, host, peer, policy), `already_exists` (a name),
 *   `source_unreachable`, `unsupported` — nothing was made
 */
export async function createImport(
  ports: Deps,
  request: CreateImport,
): Promise<{ readonly importId: ImportId }> {
  const source = await ports.store.read((tx) => tx.importSources.need(request.sourceId));
  const settings = checkSettings(request);
  const wanted = checkVolumes(source, request);
  const volumes: ImportVolume[] = [];
  for (const { name, from } of wanted) {
    const { sizeBytes } = await ports.importer.probeVolume(source, from);
    checkSize(sizeBytes, `size of ${from.locator}`);
    volumes.push({ volumeId: newId<VolumeId>(), name, sizeBytes, from });
  }
  const name = checkName(request.name ?? request.group ?? volumes[0]?.name ?? '');
  return ports.store.transaction(async (tx) => {
    await checkRows(tx, name, settings, volumes);
    const now = ports.clock.now();
    const groupName = request.group ?? volumes[0]?.name ?? name;
    const implicit = request.group === undefined;
    const group = await insertGroup(tx, { name: groupName, implicit, hosts: [] }, ports.here, now);
    const importId = newId<ImportId>();
    const volumeIds = volumes.map(({ volumeId }) => volumeId);
    await tx.groups.change(group.id, (g) => ({ ...g, volumeIds, importing: importId }));
    for (const { volumeId: id, name: volumeName, sizeBytes } of volumes) {
      const identity = { id, name: volumeName, serial: serialOf(id), sizeBytes };
      await tx.volumes.insert({
        ...identity,
        groupId: group.id,
        state: 'creating',
        createdAt: now,
      });
    }
    if (settings.policyId !== undefined) await assign(tx, group.id, settings.policyId);
    const sourceId = source.id;
    const base = { id: importId, name, sourceId, groupId: group.id, volumes, settings };
    await tx.imports.insert(newSession(base, now));
    return { importId };
  });
}

function newSession(
  base: Pick<ImportSession, 'id' | 'name' | 'sourceId' | 'groupId' | 'volumes' | 'settings'>,
  now: Instant,
): ImportSession {
  return {
    ...base,
    state: (base.settings.scheduledAt ?? now) > now ? 'scheduled' : 'queued',
    stateSince: now,
    trouble: undefined,
    left: undefined,
    progress: undefined,
    copyStartedAt: undefined,
    restarts: 0,
    restartedBecause: undefined,
    comparison: undefined,
    comparisonsFailed: 0,
    unreadable: undefined,
    cutOverPauseMs: undefined,
    createdAt: now,
    endedAt: undefined,
  };
}

function checkSettings(request: CreateImport): ImportSettings {
  const { bytesPerSecond, protect, policyId, scheduledAt, rollbackForSeconds } = request;
  checkRate(bytesPerSecond);
  checkRollback(rollbackForSeconds);
  if (protect !== undefined && policyId !== undefined) {
    refuse({ code: 'invalid', field: 'protect', wanted: 'none beside a policy', seen: 'both' });
  }
  const rpoSeconds = protect?.rpoSeconds ?? MIN_RPO_SECONDS;
  if (
    !Number.isSafeInteger(rpoSeconds) ||
    rpoSeconds < MIN_RPO_SECONDS ||
    rpoSeconds > MAX_RPO_SECONDS
  ) {
    const wanted = `a whole number from ${MIN_RPO_SECONDS} to ${MAX_RPO_SECONDS}`;
    refuse({ code: 'invalid', field: 'protect.rpoSeconds', wanted, seen: String(rpoSeconds) });
  }
  return {
    scheduledAt,
    automaticCutover: request.automaticCutover ?? false,
    verify: request.verify ?? true,
    waitForHosts: request.waitForHosts ?? false,
    hosts: [...new Set(request.hosts ?? [])],
    bytesPerSecond,
    protect,
    policyId,
    rollbackForSeconds,
  };
}

function checkRollback(seconds: number | undefined): void {
  const isSound = seconds === undefined || Number.isSafeInteger(seconds);
  const inRange = (seconds ?? MIN_ROLLBACK_SECONDS) >= MIN_ROLLBACK_SECONDS;
  if (isSound && inRange && (seconds ?? 0) <= MAX_ROLLBACK_SECONDS) return;
  const wanted = `a whole number from ${MIN_ROLLBACK_SECONDS} to ${MAX_ROLLBACK_SECONDS}`;
  refuse({ code: 'invalid', field: 'rollbackForSeconds', wanted, seen: String(seconds) });
}

const LEAST_RATE = 64 * 1024;

/** @throws Refusal `invalid` */
export function checkRate(bytesPerSecond: number | undefined): void {
  if (bytesPerSecond === undefined) return;
  if (Number.isSafeInteger(bytesPerSecond) && bytesPerSecond >= LEAST_RATE) return;
  const wanted = `a whole number of at least ${LEAST_RATE}`;
  refuse({ code: 'invalid', field: 'bytesPerSecond', wanted, seen: String(bytesPerSecond) });
}

function checkVolumes(
  { endpoint }: ImportSource,
  { volumes, group, waitForHosts, rollbackForSeconds }: CreateImport,
): readonly Pick<ImportVolume, 'name' | 'from'>[] {
  if (volumes.length === 0 || volumes.length > MAX_IMPORT_VOLUMES) {
    const wanted = `1 to ${MAX_IMPORT_VOLUMES}`;
    refuse({ code: 'invalid', field: 'volumes', wanted, seen: String(volumes.length) });
  }
  if (volumes.length > 1 && group === undefined) {
    const wanted = 'a name for the group of several volumes';
    refuse({ code: 'invalid', field: 'group', wanted, seen: 'none' });
  }
  if (group !== undefined) checkName(group, 'group');
  const checked = volumes.map(({ name, ...wanted }) => ({
    name: checkName(name),
    from: checkSourceVolume(endpoint.kind, wanted),
  }));
  const twice = (key: (volume: (typeof checked)[number]) => string): boolean =>
    new Set(checked.map(key)).size < checked.length;
  if (twice(({ name }) => name) || twice(({ from }) => from.locator)) {
    const wanted = 'each name and each locator once';
    refuse({ code: 'invalid', field: 'volumes', wanted, seen: 'one twice' });
  }
  const readOnly = checked.filter(({ from }) => from.readOnly).length;
  if (readOnly > 0 && readOnly < checked.length) {
    const what = 'importing volumes that are only read together with volumes that hosts write';
    refuse({ code: 'unsupported', what, why: 'they could not be cut over at one instant' });
  }
  if (readOnly > 0 && waitForHosts === true) {
    const why = 'no host can attach a source that is only read; it may attach after the cut-over';
    refuse({ code: 'unsupported', what: 'waiting for hosts', why });
  }
  if (readOnly > 0 && rollbackForSeconds !== undefined) {
    const why = 'the source is only read, so it cannot be kept current';
    refuse({ code: 'unsupported', what: 'a way back after the cut-over', why });
  }
  return checked;
}

async function checkRows(
  tx: Transaction,
  name: string,
  { hosts, protect, policyId }: ImportSettings,
  volumes: readonly ImportVolume[],
): Promise<void> {
  const [taken] = await tx.imports.where({ name });
  if (taken !== undefined) refuse({ code: 'already_exists', what: 'import_session', name });
  for (const { name: volume } of volumes) {
    const [existing] = await tx.volumes.where({ name: volume });
    if (existing !== undefined) refuse({ code: 'already_exists', what: 'volume', name: volume });
  }
  for (const host of hosts) {
    const [known] = await tx.hosts.where({ name: host });
    if (known === undefined) refuse({ code: 'not_found', what: 'host', id: host });
  }
  if (protect !== undefined) await tx.peers.need(protect.peerId);
  if (policyId !== undefined) await tx.policies.need(policyId);
}
