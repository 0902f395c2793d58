/** Words that the object sets share on the wire. */
import { Type } from 'typebox';
import type { TProperties } from 'typebox';
import type { Instant } from '../../domain/ids.ts';
import type { RemarkValue, Remarks } from '../../domain/remarks.ts';
import { NimbleError } from './errors.ts';
import type { Json } from './lists.ts';

/** Under this name the remarks of this dialect's clients are kept. */
export const DIALECT = 'nimble';

/** What a caller sends: a member that is not listed is refused. */
export function data<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}

export const Name = Type.String({ minLength: 1, maxLength: 215 });

export const ObjectId = Type.String({
  pattern: '^[0-9a-fA-F]{42}$',
  description: 'an id of 42 hex digits',
});

/** An id, or the empty text for none. */
export const ObjectIdOrNone = Type.String({
  pattern: '^([0-9a-fA-F]{42})?$',
  description: 'an id of 42 hex digits, or empty',
});

const Description = Type.String({
  maxLength: 255,
  pattern: '^[ -~]*$',
  description: 'printable text',
});

const Metadata = Type.Array(
  Type.Object(
    { key: Type.String({ minLength: 1, maxLength: 255 }), value: Type.String({ maxLength: 255 }) },
    { additionalProperties: false },
  ),
  { maxItems: 64 },
);

/** Any value: of an argument that can have one value only, see `refuseOthers`. */
export const Fixed = Type.Optional(
  Type.Union([Type.String({ maxLength: 255 }), Type.Number(), Type.Boolean()]),
);

/** What is kept as the client tells it, and told back; nothing here depends on it. */
export const remarkArguments = {
  description: Type.Optional(Description),
  metadata: Type.Optional(Metadata),
  app_uuid: Type.Optional(Type.String({ maxLength: 255 })),
  agent_type: Type.Optional(Type.Enum(['none', 'openstack', 'openstackv2', 'smis', 'vvol'])),
};

/** The arguments that a request brings and that are only kept: those of `remarkArguments`, and more. */
export function remarksIn(
  data: Readonly<Record<string, unknown>>,
  more: readonly string[] = [],
): Readonly<Record<string, RemarkValue>> {
  const names = [...Object.keys(remarkArguments), ...more].filter((n) => Object.hasOwn(data, n));
  return Object.fromEntries(names.map((name) => [name, data[name] as RemarkValue]));
}

/** What was kept under a name, or what stands there otherwise. */
export function remarked(remarks: Remarks | undefined, name: string, otherwise: Json): Json {
  return (remarks?.[DIALECT]?.[name] as Json | undefined) ?? otherwise;
}

/** The same of a text. */
export function remarkedText(
  remarks: Remarks | undefined,
  name: string,
  otherwise: string,
): string {
  const kept = remarks?.[DIALECT]?.[name];
  return typeof kept === 'string' ? kept : otherwise;
}

/**
 * Refuses what the vendor's arrays do and this system does not: these arguments may have the one
 * value that says so.
 *
 * @throws NimbleError `SM_no_support`
 */
export function refuseOthers(
  data: Readonly<Record<string, unknown>>,
  only: Readonly<Record<string, string | number | boolean>>,
): void {
  for (const [arg, value] of Object.entries(only)) {
    if (!Object.hasOwn(data, arg) || String(data[arg]) === String(value)) continue;
    throw new NimbleError('SM_no_support', `'${arg}' can only be '${String(value)}' here.`, {
      arg,
    });
  }
}

/** Seconds since 1970; 0 is never. */
export function seconds(instant: Instant | undefined): number {
  return instant === undefined ? 0 : Math.floor(instant / 1000);
}

/** The vendor's lists are null when empty. */
export function orNull<T>(items: readonly T[]): readonly T[] | null {
  return items.length === 0 ? null : items;
}
