/** Words that the resources share on the wire. */
import { Type } from 'typebox';
import type { TProperties } from 'typebox';
import type { Instant } from '../../domain/ids.ts';

/** Under this name the remarks of this dialect's clients are kept. */
export const DIALECT = 'powerstore';

/** A value as it goes over the wire. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [k: string]: Json };

/** What a caller sends: a property that is not listed is refused. */
export function body<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}

export const Name = Type.String({ minLength: 1, maxLength: 128 });

/** An id, or `name:` and a name. */
export const Reference = Type.String({ minLength: 1, maxLength: 256 });

export const References = Type.Array(Reference, { maxItems: 1000 });

/** What a client may clear by an empty text or by `null`. */
export const Clearable = Type.Union([Type.String({ maxLength: 256 }), Type.Null()]);

/** Whole seconds or a fraction, with `Z` or an offset. */
export const Timestamp = Type.String({
  pattern: String.raw`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$`,
});

export const Flag = Type.Optional(Type.Boolean());

export function timestamp(instant: Instant): string {
  return new Date(instant).toISOString().replace('Z', '+00:00');
}

export function timestampOr(instant: Instant | undefined): string | null {
  return instant === undefined ? null : timestamp(instant);
}
