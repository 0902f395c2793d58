/** Words that the object sets share on the wire. */
import { Type } from 'typebox';
import type { TProperties } from 'typebox';
import type { Instant } from '../../domain/ids.ts';

/** What a caller sends: a member that is not listed is refused. */
export function data<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}

/** Seconds since 1970; 0 is never. */
export function seconds(instant: Instant | undefined): number {
  return instant === undefined ? 0 : Math.floor(instant / 1000);
}
