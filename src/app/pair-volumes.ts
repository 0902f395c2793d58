/**
 * A volume and its stand-in: the one that will be replicated, and the one by whose identity the
 * other site's hosts know the copy. The pair is part of the volume's row, so it goes with the volume
 * to the other site as everything does that this needs to go on alone.
 */
import type { PairId, VolumeId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import { refuse } from '../domain/refusal.ts';
import { checkStandIn } from '../domain/stand-in.ts';
import type { Candidate, NewStandIn } from '../domain/stand-in.ts';
import type { Volume } from '../domain/volume.ts';
import type { Transaction } from '../ports/store.ts';
import { sessionOf } from '../sagas/offer.ts';
import type { AppPorts } from './app-ports.ts';
import { showBothSites } from './both-sites.ts';
import type { BothSites } from './both-sites.ts';

export interface PairVolumes {
  readonly volumeId: VolumeId;
  readonly standIn: NewStandIn;
}

/**
 * Pairs a volume that this site holds with one of the other site's. Nothing is copied yet.
 *
 * @throws Refusal `not_found`, `not_holder`, `in_use`, `invalid` (sizes differ), `wrong_state`,
 *   `peer_unreachable`
 */
export async function pairVolumes(
  ports: Pick<AppPorts, 'store' | 'peer' | 'clock' | 'here'>,
  { volumeId, standIn }: PairVolumes,
): Promise<Volume> {
  const { store, clock, here } = ports;
  const view = await showBothSites(ports);
  const there = view.sites.find(({ id }) => id === standIn.siteId);
  if (there === undefined) return refuse({ code: 'not_found', what: 'peer', id: standIn.siteId });
  if (!there.answers) {
    refuse({ code: 'peer_unreachable', siteId: there.id, detail: 'no heartbeat' });
  }
  const candidate = candidateIn(view, standIn);
  return store.transaction(async (tx) => {
    const { groupId } = await tx.volumes.need(volumeId);
    requireHolder(groupId, (await tx.groups.need(groupId)).ownership, here);
    checkStandIn(await candidateHere(tx, volumeId), candidate);
    const made = { ...standIn, homeId: here, createdAt: clock.now() };
    return tx.volumes.change(volumeId, (v) => ({ ...v, standIn: made }));
  });
}

/**
 * Parts a volume from its stand-in. Both stay as they are. A repeat changes nothing.
 *
 * @throws Refusal `not_found`, `not_holder`, `in_use` while a group or a session needs the pair
 */
export function partVolumes(
  { store, here }: Pick<AppPorts, 'store' | 'here'>,
  { volumeId, pairId }: { readonly volumeId: VolumeId; readonly pairId: PairId },
): Promise<Volume> {
  return store.transaction(async (tx) => {
    const volume = await tx.volumes.need(volumeId);
    const group = await tx.groups.need(volume.groupId);
    requireHolder(group.id, group.ownership, here);
    const session = await sessionOf(tx, group.id);
    const by = group.implicit
      ? session && `replication session ${session.id}`
      : `group ${group.name}`;
    if (by !== undefined) refuse({ code: 'in_use', what: 'volume', id: volumeId, by });
    if (volume.standIn?.pairId !== pairId) return volume;
    return tx.volumes.change(volumeId, (v) => ({ ...v, standIn: undefined }));
  });
}

/** @throws Refusal `in_use` when the volume is in a pair, as itself or as a stand-in */
export async function refusePaired(tx: Transaction, volumeId: VolumeId): Promise<void> {
  const pairId = await pairOf(tx, volumeId);
  if (pairId !== undefined) {
    refuse({ code: 'in_use', what: 'volume', id: volumeId, by: `pair ${pairId}` });
  }
}

/** @throws Refusal `in_use` when another volume's copy is known by this one's identity */
export async function refuseStandIn(tx: Transaction, volumeId: VolumeId): Promise<void> {
  const volume = (await tx.volumes.all()).find((v) => v.standIn?.volumeId === volumeId);
  if (volume !== undefined) {
    const by = `pair ${volume.standIn?.pairId}, as the stand-in of volume ${volume.id}`;
    refuse({ code: 'in_use', what: 'volume', id: volumeId, by });
  }
}

async function pairOf(tx: Transaction, volumeId: VolumeId): Promise<PairId | undefined> {
  const own = (await tx.volumes.get(volumeId))?.standIn;
  const as = (await tx.volumes.all()).find((v) => v.standIn?.volumeId === volumeId)?.standIn;
  return (own ?? as)?.pairId;
}

async function candidateHere(tx: Transaction, volumeId: VolumeId): Promise<Candidate> {
  const { id, sizeBytes, state, groupId } = await tx.volumes.need(volumeId);
  const group = await tx.groups.need(groupId);
  return {
    id,
    sizeBytes,
    state,
    pairId: await pairOf(tx, id),
    isAlone: group.implicit && (await sessionOf(tx, groupId)) === undefined,
    hasHosts: group.hosts.length > 0,
  };
}

/** The stand-in as its own site describes it. */
function candidateIn({ groups }: BothSites, { volumeId, siteId }: NewStandIn): Candidate {
  const volumes = groups.flatMap((group) => group.volumes.map((volume) => ({ group, volume })));
  const found = volumes.find(({ volume }) => volume.id === volumeId);
  if (found?.group.ownership.holder !== siteId) {
    return refuse({ code: 'not_found', what: 'volume', id: volumeId });
  }
  const { id, sizeBytes, state } = found.volume;
  const as = volumes.find(({ volume }) => volume.standIn?.volumeId === id)?.volume.standIn;
  return {
    id,
    sizeBytes,
    state,
    pairId: (found.volume.standIn ?? as)?.pairId,
    isAlone: found.group.implicit && found.group.session === undefined,
    hasHosts: found.group.hosts.length > 0,
  };
}
