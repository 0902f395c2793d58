/** What a client asks of a list: which rows, which of their members, in which order, which part. */
import { NimbleError } from './errors.ts';

const MAX_PAGE_ROWS = 1024;

/** A value as it goes over the wire. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [k: string]: Json };

/** An object as a client sees it. */
export type Row = Readonly<Record<string, Json>>;

export interface Listing {
  /** Rows that have all of these values. */
  readonly filters: readonly Filter[];
  readonly fields: readonly string[] | undefined;
  readonly sortBy: readonly SortKey[];
  readonly startRow: number;
  /** Exclusive; absent: as far as a page goes. */
  readonly endRow: number | undefined;
}

interface Filter {
  readonly attribute: string;
  readonly matches: (value: Json) => boolean;
}

interface SortKey {
  readonly attribute: string;
  readonly descending: boolean;
  readonly ignoresCase: boolean;
}

export interface ListAnswer {
  readonly data: readonly Row[];
  readonly startRow: number;
  readonly endRow: number;
  readonly totalRows: number;
}

const WINDOW = new Set(['startRow', 'endRow', 'pageSize', 'limit']);

/**
 * Reads the query of a list.
 *
 * @param attributes what rows of the set have
 * @param detailed whether the list may be told which members its rows show
 * @throws NimbleError `SM_unexpected_query_param`, `SM_invalid_query_param`, row range codes
 */
export function readListing(
  url: string,
  attributes: readonly string[],
  { detailed }: { readonly detailed: boolean },
): Listing {
  const filters: Filter[] = [];
  const sortBy: SortKey[] = [];
  const rows = new Map<string, number>();
  let fields: readonly string[] | undefined;
  for (const [name, value] of queryOf(url)) {
    if (name === 'fields' && detailed) fields = namesIn(name, value, attributes);
    else if (name === 'sortBy' || name === 'iSortBy') {
      sortBy.push(...sortKeys(name, value, attributes));
    } else if (WINDOW.has(name)) rows.set(name, wholeNumber(name, value));
    else filters.push(filterOf(name, value, attributes));
  }
  return { filters, fields, sortBy, ...windowOf(rows) };
}

/** The names of `?fields=` on a single object. @throws NimbleError as `readListing` */
export function readFields(
  url: string,
  attributes: readonly string[],
): readonly string[] | undefined {
  let fields: readonly string[] | undefined;
  for (const [name, value] of queryOf(url)) {
    if (name !== 'fields') refuseQuery(name);
    fields = namesIn(name, value, attributes);
  }
  return fields;
}

/** @throws NimbleError `SM_unexpected_query_param` where a request may have no query */
export function refuseQueries(url: string): void {
  for (const [name] of queryOf(url)) refuseQuery(name);
}

/** @throws NimbleError `SM_start_row_beyond_total_rows` */
export function list(rows: readonly Row[], listing: Listing): ListAnswer {
  const { filters, fields, sortBy, startRow, endRow } = listing;
  const matching = rows.filter((row) =>
    filters.every(({ attribute, matches }) => matches(row[attribute] ?? null)),
  );
  if (startRow > matching.length) {
    const detail = `There are ${matching.length} rows.`;
    throw new NimbleError('SM_start_row_beyond_total_rows', detail);
  }
  const sorted = matching.toSorted((a, b) => compareBy(sortBy, a, b));
  const data = sorted.slice(startRow, endRow ?? startRow + MAX_PAGE_ROWS);
  return {
    data: fields === undefined ? data : data.map((row) => only(row, fields)),
    startRow,
    endRow: startRow + data.length,
    totalRows: matching.length,
  };
}

export function only(row: Row, names: readonly string[]): Row {
  return Object.fromEntries(names.map((name) => [name, row[name] ?? null]));
}

function queryOf(url: string): readonly (readonly [string, string])[] {
  const start = url.indexOf('?');
  return start < 0 ? [] : [...new URLSearchParams(url.slice(start + 1))];
}

/** `name=value`, or as the Python client writes where it goes on: `id>value` without an equals. */
function filterOf(name: string, value: string, attributes: readonly string[]): Filter {
  const after = /^(?<attribute>\w+)>(?<than>.+)$/.exec(name)?.groups;
  const attribute = after?.['attribute'] ?? name;
  if (!attributes.includes(attribute)) refuseQuery(attribute);
  const than = after?.['than'];
  if (than !== undefined) return { attribute, matches: (seen) => textOf(seen) > than };
  return { attribute, matches: (seen) => textOf(seen) === value };
}

/** How a value is written in a query. */
function textOf(value: Json): string {
  if (value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function refuseQuery(name: string): never {
  const param = name.slice(0, 64);
  throw new NimbleError('SM_unexpected_query_param', `'${param}' is not known here.`, { param });
}

function refuseValue(param: string, value: string, wanted: string): never {
  const detail = `'${param}' is ${wanted}, not '${value.slice(0, 64)}'.`;
  throw new NimbleError('SM_invalid_query_param', detail, { param });
}

function namesIn(param: string, value: string, attributes: readonly string[]): readonly string[] {
  const names = value.split(',').map((name) => name.trim());
  const stranger = names.find((name) => !attributes.includes(name));
  if (stranger !== undefined) refuseValue(param, stranger, 'a list of attributes');
  return names;
}

function sortKeys(param: string, value: string, attributes: readonly string[]): readonly SortKey[] {
  return value.split(',').map((key) => {
    const descending = key.startsWith('-');
    const [attribute = ''] = namesIn(param, descending ? key.slice(1) : key, attributes);
    return { attribute, descending, ignoresCase: param === 'iSortBy' };
  });
}

function wholeNumber(param: string, value: string): number {
  return /^\d{1,9}$/.test(value) ? Number(value) : refuseValue(param, value, 'a whole number');
}

function windowOf(rows: ReadonlyMap<string, number>): Pick<Listing, 'startRow' | 'endRow'> {
  const startRow = rows.get('startRow') ?? 0;
  const size = rows.get('pageSize') ?? rows.get('limit');
  if (size !== undefined && size > MAX_PAGE_ROWS) {
    throw new NimbleError('SM_too_large_page_size', `It is at most ${MAX_PAGE_ROWS}.`);
  }
  const asked = rows.get('endRow');
  if (asked !== undefined && asked < startRow) {
    throw new NimbleError('SM_start_row_beyond_end_row', `${startRow} is beyond ${asked}.`);
  }
  const ends = [
    ...(asked === undefined ? [] : [asked]),
    ...(size === undefined ? [] : [startRow + size]),
  ];
  const endRow = ends.length === 0 ? undefined : Math.min(...ends, startRow + MAX_PAGE_ROWS);
  return { startRow, endRow };
}

function compareBy(keys: readonly SortKey[], a: Row, b: Row): number {
  for (const { attribute, descending, ignoresCase } of keys) {
    const order = compare(a[attribute] ?? null, b[attribute] ?? null, ignoresCase);
    if (order !== 0) return descending ? -order : order;
  }
  return 0;
}

function compare(a: Json, b: Json, ignoresCase: boolean): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [x, y] = [textOf(a), textOf(b)].map((t) => (ignoresCase ? t.toLowerCase() : t)) as [
    string,
    string,
  ];
  return x < y ? -1 : Number(x > y);
}
