import type { Instant, PairId, SiteId, VolumeId } from './ids.ts';
import { refuse } from './refusal.ts';

/**
 * A volume at the other site that lends its identity to this one's copy there: hosts of that site
 * know the copy by it. What it holds itself stays untouched until the two are parted.
 */
export interface StandIn {
  readonly pairId: PairId;
  readonly volumeId: VolumeId;
  readonly siteId: SiteId;
  /** Where the volume itself was when the two were paired. */
  readonly homeId: SiteId;
  /** As whoever paired them called it; any text. */
  readonly name: string;
  readonly description: string;
  readonly createdAt: Instant;
}

/** Of a pair that is about to be made, at the volume's own site. */
export type NewStandIn = Omit<StandIn, 'homeId' | 'createdAt'>;

/** One of two volumes that are to be a pair, as its own site describes it. */
export interface Candidate {
  readonly id: VolumeId;
  readonly sizeBytes: number;
  readonly state: 'creating' | 'importing' | 'ready' | 'deleting';
  /** The pair that it is in already, at whichever end. */
  readonly pairId: PairId | undefined;
  /** In a group of its own, which has no session. */
  readonly isAlone: boolean;
  /** Some host may attach it. */
  readonly hasHosts: boolean;
}

/**
 * Whether the one can lend its identity to the other's copy.
 *
 * @throws Refusal `in_use`, `invalid` (sizes differ), `wrong_state`
 */
export function checkStandIn(volume: Candidate, standIn: Candidate): void {
  for (const { id, pairId, isAlone, state } of [volume, standIn]) {
    if (pairId !== undefined) refuse({ code: 'in_use', what: 'volume', id, by: `pair ${pairId}` });
    if (!isAlone) {
      refuse({ code: 'in_use', what: 'volume', id, by: 'a group, or a replication of its own' });
    }
    if (state === 'ready') continue;
    const allowedIn = ['ready'];
    refuse({ code: 'wrong_state', what: 'volume', id, state, event: 'pair', allowedIn });
  }
  if (standIn.hasHosts) {
    // Their writes would go to bytes that nobody sees once the copy is known by this volume.
    refuse({ code: 'in_use', what: 'volume', id: standIn.id, by: 'a host that may attach it' });
  }
  if (standIn.sizeBytes !== volume.sizeBytes) {
    const wanted = `${volume.sizeBytes} bytes, as volume ${volume.id} has`;
    refuse({ code: 'invalid', field: 'sizeBytes', wanted, seen: String(standIn.sizeBytes) });
  }
}
