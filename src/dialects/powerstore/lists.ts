/** What a client asks of a list: which rows, in which order, which part; and what is shown of them. */
import { PowerStoreError } from './errors.ts';
import { readFilter, readGroup } from './filters.ts';
import type { Condition, FilterRules } from './filters.ts';
import { readSelect } from './select.ts';
import type { Selection } from './select.ts';
import type { Json } from './schemas.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 2000;

export interface Listing {
  readonly selection: Selection;
  readonly conditions: readonly Condition[];
  readonly order: readonly SortKey[];
  readonly offset: number;
  readonly limit: number;
}

interface SortKey {
  readonly attribute: string;
  readonly descending: boolean;
}

/** Names compare without regard to case. */
export const ignoresCase = (attribute: string): boolean => attribute.endsWith('name');

/**
 * Reads the query of a list, or of one instance.
 *
 * @param range of the header: another way to say `offset` and `limit`
 * @throws PowerStoreError `malformed_url`, `unknown_attribute`, `unknown_query_parameter`,
 *   `range_not_satisfiable`
 */
export function readListing(
  url: string,
  range: string | undefined,
  has: (attribute: string) => boolean,
  type: string,
): Listing {
  const conditions: Condition[] = [];
  const order: SortKey[] = [];
  let selection: Selection = new Map([['id', undefined]]);
  let window = readRange(range) ?? { offset: 0, limit: DEFAULT_LIMIT };
  const check = (attribute: string): void => {
    if (!has(attribute)) refuseAttribute(type, attribute);
  };
  const rules: FilterRules = { check, ignoresCase };
  for (const [name, value] of queryOf(url)) {
    if (name === 'select') selection = readSelect(value);
    else if (name === 'order') order.push(...sortKeys(value, check));
    else if (name === 'limit') window = { ...window, limit: limitOf(value) };
    else if (name === 'offset') window = { ...window, offset: wholeNumber(name, value) };
    else if (name === 'and' || name === 'or') conditions.push(readGroup(name, value, rules));
    else conditions.push(readOne(name, value, has, rules));
  }
  return { selection, conditions, order, ...window };
}

export interface Part<Row> {
  readonly rows: readonly Row[];
  readonly first: number;
  readonly total: number;
}

/** @throws PowerStoreError `range_not_satisfiable` */
export function takePart<Row>(
  all: readonly Row[],
  { conditions, order, offset, limit }: Listing,
  look: (row: Row, attribute: string) => Json,
): Part<Row> {
  const matching = all.filter((row) =>
    conditions.every((fits) => fits((attribute) => look(row, attribute))),
  );
  if (offset > 0 && offset >= matching.length) {
    const sentence = `The range begins at ${offset}, and there are ${matching.length} instances.`;
    throw new PowerStoreError('range_not_satisfiable', sentence);
  }
  const sorted = matching.toSorted((a, b) => {
    for (const { attribute, descending } of order) {
      const by = compare(look(a, attribute), look(b, attribute), ignoresCase(attribute));
      if (by !== 0) return descending ? -by : by;
    }
    return 0;
  });
  const rows = sorted.slice(offset, offset + limit);
  return { rows, first: offset, total: matching.length };
}

export function refuseAttribute(type: string, attribute: string): never {
  const named = `${type}.${attribute.slice(0, 64)}`;
  throw new PowerStoreError('unknown_attribute', `The property [${named}] does not exist.`, named);
}

/** Whether a change is to be answered before it is done; no other query goes with one. */
export function readIsAsync(url: string): boolean {
  let isAsync = false;
  for (const [name, value] of queryOf(url)) {
    if (name !== 'is_async' || !/^(true|false)$/i.test(value)) refuseParameter(name);
    isAsync = value.toLowerCase() === 'true';
  }
  return isAsync;
}

function queryOf(url: string): readonly (readonly [string, string])[] {
  const start = url.indexOf('?');
  return start < 0 ? [] : [...new URLSearchParams(url.slice(start + 1))];
}

function readOne(
  name: string,
  value: string,
  has: (attribute: string) => boolean,
  rules: FilterRules,
): Condition {
  const isFilter = /^(not\.)?[a-z]+\./.test(value);
  const [attribute = ''] = name.split('->', 1);
  if (!isFilter && !has(attribute)) refuseParameter(name);
  return readFilter(name, value, rules);
}

function refuseParameter(name: string): never {
  const named = name.slice(0, 64);
  throw new PowerStoreError(
    'unknown_query_parameter',
    `The query parameter [${named}] is not known.`,
    named,
  );
}

function sortKeys(text: string, check: (attribute: string) => void): readonly SortKey[] {
  return text.split(',').map((part) => {
    const [attribute = '', direction = 'asc'] = part.trim().split('.');
    check(attribute);
    if (direction !== 'asc' && direction !== 'desc') {
      const sentence = `An order is asc or desc, not ${direction.slice(0, 20)}.`;
      throw new PowerStoreError('malformed_url', sentence);
    }
    return { attribute, descending: direction === 'desc' };
  });
}

function readRange(header: string | undefined): Pick<Listing, 'offset' | 'limit'> | undefined {
  if (header === undefined) return undefined;
  const range = /^(?:items=)?(?<first>\d{1,9})-(?<last>\d{1,9})?$/.exec(header.trim())?.groups;
  if (range === undefined) {
    throw new PowerStoreError('range_not_satisfiable', 'A range is like 0-99.');
  }
  const offset = Number(range['first']);
  if (range['last'] === undefined) return { offset, limit: MAX_LIMIT };
  return { offset, limit: limitOf(String(Number(range['last']) - offset + 1)) };
}

function limitOf(text: string): number {
  if (/^-\d{1,9}$|^0+$/.test(text)) {
    throw new PowerStoreError('range_not_satisfiable', `A limit is at least 1, not ${text}.`);
  }
  return Math.min(wholeNumber('limit', text), MAX_LIMIT);
}

function wholeNumber(name: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const sentence = `The query parameter [${name}] is a whole number, not ${text.slice(0, 20)}.`;
  throw new PowerStoreError('malformed_url', sentence);
}

function compare(a: Json, b: Json, caseless: boolean): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [x, y] = [textOf(a), textOf(b)].map((t) => (caseless ? t.toLowerCase() : t)) as [
    string,
    string,
  ];
  return x < y ? -1 : Number(x > y);
}

function textOf(value: Json): string {
  if (value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
