import type { GroupId, Instant, VolumeId } from './ids.ts';
import { refuse } from './refusal.ts';
import type { Remarks } from './remarks.ts';
import type { StandIn } from './stand-in.ts';

/**
 * A sized block device with one identity at every site: id, name and serial go with it.
 * It always belongs to a group; a lone volume has a group of its own (see `Group.implicit`).
 */
export interface Volume {
  readonly id: VolumeId;
  readonly name: string;
  readonly serial: string;
  readonly sizeBytes: number;
  readonly groupId: GroupId;
  readonly standIn?: StandIn | undefined;
  readonly state: VolumeState;
  readonly createdAt: Instant;
  readonly remarks?: Remarks | undefined;
}

/** `importing`: hosts that write it write the source that it is brought in from. */
export const volumeStates = ['creating', 'importing', 'ready', 'deleting'] as const;
type VolumeState = (typeof volumeStates)[number];

export const SECTOR_BYTES = 512;
export const MIN_VOLUME_BYTES = 1024 * 1024;
/** 64 TiB: what a qcow2 layer with 128 KiB clusters addresses with room to spare. */
export const MAX_VOLUME_BYTES = 64 * 1024 ** 4;

/** @throws Refusal `invalid` unless the size is a whole number of sectors within the limits. */
export function checkSize(sizeBytes: number, field = 'sizeBytes'): number {
  const wanted = `a multiple of ${SECTOR_BYTES} from ${MIN_VOLUME_BYTES} to ${MAX_VOLUME_BYTES} bytes`;
  const fits =
    Number.isSafeInteger(sizeBytes) &&
    sizeBytes % SECTOR_BYTES === 0 &&
    sizeBytes >= MIN_VOLUME_BYTES &&
    sizeBytes <= MAX_VOLUME_BYTES;
  return fits ? sizeBytes : refuse({ code: 'invalid', field, wanted, seen: String(sizeBytes) });
}

/** A volume only grows: hosts' file systems cannot be asked to let go of their tail. */
export function checkGrowth(volume: Volume, sizeBytes: number): number {
  checkSize(sizeBytes);
  if (sizeBytes >= volume.sizeBytes) return sizeBytes;
  return refuse({
    code: 'invalid',
    field: 'sizeBytes',
    wanted: `at least the present size of ${volume.sizeBytes} bytes`,
    seen: String(sizeBytes),
  });
}

/** SCSI-like serial, the same at every site, derived from the id so that it needs no registry. */
export function serialOf(id: VolumeId): string {
  return id.replaceAll('-', '').slice(0, 20);
}
