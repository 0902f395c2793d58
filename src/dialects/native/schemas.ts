/** Words that the resources share on the wire. */
import { Type } from 'typebox';
import type { TProperties, TSchema } from 'typebox';
import type { Instant as Milliseconds } from '../../domain/ids.ts';

export const Instant = Type.String({
  format: 'date-time',
  description: 'UTC, as in 2026-11-21T09:30:00.000Z.',
});

export function iso(instant: Milliseconds): string {
  return new Date(instant).toISOString();
}

export function isoOr(instant: Milliseconds | undefined): string | undefined {
  return instant === undefined ? undefined : iso(instant);
}

type Known<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

/** Without the members that are undefined: absent on the wire, too. */
export function known<T extends object>(members: T): Known<T> {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined),
  ) as Known<T>;
}

export const Uuid = Type.String({ format: 'uuid' });

/** An id or a name in a path, a query or a body. */
export const Reference = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'An id, or a name.',
});

export const Name = Type.String({ minLength: 1, maxLength: 64 });

export const SizeBytes = Type.Integer({ minimum: 0, description: 'Bytes.' });

export const Named = Type.Object({ id: Uuid, name: Type.String() });

/** What a caller sends: a member that is not listed is refused. */
export function object<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}

export const Wait = {
  wait: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 60,
      description: 'Wait at most so many seconds for the end of the job.',
    }),
  ),
};

/** Of a request that takes something away for good, or by force. */
export const Confirmation = Type.Optional(
  Type.String({
    maxLength: 64,
    description: 'What the preflight answered, to show it was seen.',
  }),
);

export const Paging = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 100 })),
  offset: Type.Optional(Type.Integer({ minimum: 0, default: 0 })),
};

export interface Page {
  readonly limit?: number;
  readonly offset?: number;
}

const DEFAULT_LIMIT = 100;

export function PageOf<Item extends TSchema>(item: Item) {
  return Type.Object({
    items: Type.Array(item),
    total: Type.Integer(),
    nextOffset: Type.Optional(
      Type.Integer({ description: 'Where the next page begins; absent on the last one.' }),
    ),
  });
}

/** One page of a list, in the list's order. */
export function page<Row, Item>(
  rows: readonly Row[],
  { limit = DEFAULT_LIMIT, offset = 0 }: Page,
  say: (row: Row) => Item,
): { readonly items: Item[]; readonly total: number; readonly nextOffset?: number } {
  const items = rows.slice(offset, offset + limit).map(say);
  const end = offset + items.length;
  return { items, total: rows.length, ...(end < rows.length && { nextOffset: end }) };
}
