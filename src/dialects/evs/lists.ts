/** What a client asks of a list: which rows, in which order, which part. */
import { clipped } from './bodies.ts';
import { Fault } from './errors.ts';

const MAX_PAGE_ROWS = 1000;

/** An object as a client sees it. */
export type Row = Readonly<Record<string, unknown>> & { readonly id: string };

export interface ListOptions {
  /** Attributes that rows may be filtered by; other members of the query are ignored. */
  readonly filters: readonly string[];
  readonly sortKeys: readonly string[];
  /** The least limit: 0 is an empty list in Cinder's own calls. */
  readonly leastLimit: 0 | 1;
}

export interface Page<R> {
  readonly rows: readonly R[];
  /** The query of the next page; absent on the last one. */
  readonly next: string | undefined;
  /** Rows of all pages. */
  readonly total: number;
}

/** What clients call attributes in queries. */
const aliases: Readonly<Record<string, string>> = {
  display_name: 'name',
  display_description: 'description',
};

/**
 * Filters, sorts and cuts a list as its query asks.
 *
 * @throws Fault 400 for a limit, offset, sort key or direction; 404 for an unknown marker
 */
export function list<R extends Row>(
  rows: readonly R[],
  url: string,
  options: ListOptions,
): Page<R> {
  const query = new URLSearchParams(url.split('?', 2)[1] ?? '');
  const limit = wholeNumber(query, 'limit', options.leastLimit) ?? MAX_PAGE_ROWS;
  const offset = wholeNumber(query, 'offset', 0) ?? 0;
  const order = sortOf(query, options.sortKeys);
  const fitting = rows
    .filter((row) => options.filters.every((name) => fits(row, name, valueOf(query, name))))
    .toSorted((a, b) => compareBy(order, a, b));
  const start = offset + afterMarker(fitting, query.get('marker'));
  const shown = fitting.slice(start, start + Math.min(limit, MAX_PAGE_ROWS));
  const last = shown.at(-1);
  const isFull = last !== undefined && start + shown.length < fitting.length;
  return {
    rows: shown,
    next: isFull ? nextQuery(query, last.id) : undefined,
    total: fitting.length,
  };
}

/** The link member of a list's answer, when there is a next page. */
export function nextLinks(
  name: string,
  base: string,
  next: string | undefined,
): Readonly<Record<string, unknown>> {
  if (next === undefined) return {};
  return { [`${name}_links`]: [{ rel: 'next', href: `${base}?${next}` }] };
}

function nextQuery(query: URLSearchParams, marker: string): string {
  const next = new URLSearchParams(query);
  next.delete('offset');
  next.set('marker', marker);
  return next.toString();
}

function valueOf(query: URLSearchParams, attribute: string): string | undefined {
  const names = [attribute, ...Object.keys(aliases).filter((a) => aliases[a] === attribute)];
  const name = names.find((n) => query.has(n));
  return name === undefined ? undefined : (query.get(name) ?? undefined);
}

function fits(row: Row, attribute: string, wanted: string | undefined): boolean {
  if (wanted === undefined) return true;
  const value = row[attribute];
  if (Array.isArray(value)) return value.includes(wanted);
  return textOf(value) === wanted;
}

function afterMarker(rows: readonly Row[], marker: string | null): number {
  if (marker === null) return 0;
  const at = rows.findIndex(({ id }) => id === marker);
  if (at < 0) throw new Fault(404, `Marker ${clipped(marker)} could not be found.`);
  return at + 1;
}

function wholeNumber(query: URLSearchParams, name: string, least: number): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (/^\d{1,9}$/.test(text) && Number(text) >= least) return Number(text);
  throw new Fault(400, `${name} must be a whole number from ${least}, not '${clipped(text)}'.`);
}

interface SortKey {
  readonly key: string;
  readonly descending: boolean;
}

/** `sort=key:dir,…`, or the older `sort_key` and `sort_dir`. */
function sortOf(query: URLSearchParams, keys: readonly string[]): readonly SortKey[] {
  const sort = query.get('sort');
  const parts =
    sort === null
      ? [[query.get('sort_key') ?? 'created_at', query.get('sort_dir') ?? 'desc'] as const]
      : sort.split(',').map((part) => {
          const [key = '', direction = 'desc'] = part.trim().split(':', 2);
          return [key, direction] as const;
        });
  const order = parts.map(([name, direction]) => {
    const key = aliases[name] ?? name;
    if (!keys.includes(key)) {
      throw new Fault(400, `sort key '${clipped(name)}' is none of ${keys.join(', ')}.`);
    }
    if (direction !== 'asc' && direction !== 'desc') {
      throw new Fault(400, `sort direction '${clipped(direction)}' is neither asc nor desc.`);
    }
    return { key, descending: direction === 'desc' };
  });
  return [...order, { key: 'id', descending: order.at(-1)?.descending ?? true }];
}

function compareBy(order: readonly SortKey[], a: Row, b: Row): number {
  for (const { key, descending } of order) {
    const [x, y] = [a[key], b[key]];
    const less =
      typeof x === 'number' && typeof y === 'number' ? x - y : compareText(textOf(x), textOf(y));
    if (less !== 0) return descending ? -less : less;
  }
  return 0;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
