/**
 * Ids on the wire: 42 hex digits, two for the type, eight for the part, 32 for our UUID.
 *
 *   06 00000000 3f2b…(32)   the volume with this UUID
 *   04 00000002 9ac1…(32)   the snapshot of the second volume in the recovery point with this UUID
 *
 * The vendor's own have the group's uid after the type; clients take all of it as opaque.
 */
import { isId } from '../../domain/ids.ts';

const prefixes = {
  group: '00',
  performance_policy: '03',
  snapshot: '04',
  snapshot_collection: '05',
  volume: '06',
  volume_collection: '07',
  array: '09',
  /** The same as arrays have, in the vendor's own examples. */
  replication_partner: '09',
  pool: '0a',
  protection_schedule: '0c',
  user: '10',
  token: '40',
} as const;

export type ObjectType = keyof typeof prefixes;

const form = /^[0-9a-f]{42}$/;

/** @param part which part of the thing is meant, from 1; 0 is the whole */
export function toWire(type: ObjectType, uuid: string, part = 0): string {
  return prefixes[type] + part.toString(16).padStart(8, '0') + uuid.replaceAll('-', '');
}

export function isWireId(text: string): boolean {
  return form.test(text.toLowerCase());
}

/** @returns undefined when the id is not one of this type */
export function fromWire<Id extends string>(
  type: ObjectType,
  text: string,
): { readonly id: Id; readonly part: number } | undefined {
  const wire = text.toLowerCase();
  if (!isWireId(wire) || !wire.startsWith(prefixes[type])) return undefined;
  const id = wire.slice(10).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return isId(id) ? { id: id as Id, part: Number.parseInt(wire.slice(2, 10), 16) } : undefined;
}
