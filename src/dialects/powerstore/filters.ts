/**
 * Conditions on rows: `attribute=operator.value`, with `not.` before the operator, and
 * `and=(attribute.operator.value,…)` or `or=(…)` around several. An attribute may be a path into an
 * embedded object: `protection_data->>source_id`, `host_initiators->0->>port_type`.
 */
import { PowerStoreError } from './errors.ts';
import type { Json } from './schemas.ts';

/** How a condition looks at a row. */
export type Look = (attribute: string) => Json;
export type Condition = (look: Look) => boolean;

export interface FilterRules {
  /** @throws PowerStoreError `unknown_attribute` */
  readonly check: (attribute: string) => void;
  /** Compared without regard to case. */
  readonly ignoresCase: (attribute: string) => boolean;
}

const MAX_CONDITIONS = 100;
const MAX_DEPTH = 5;

/** @throws PowerStoreError `malformed_url`, `unknown_attribute` */
export function readFilter(path: string, text: string, rules: FilterRules): Condition {
  const negated = text.startsWith('not.');
  const rest = negated ? text.slice('not.'.length) : text;
  const dot = rest.indexOf('.');
  const operator = dot < 0 ? rest : rest.slice(0, dot);
  const make = Object.hasOwn(operators, operator) ? operators[operator] : undefined;
  if (dot < 0 || make === undefined) refuseFilter(`${path}=${text}`);
  const [attribute = path, ...steps] = path.split(/->>?/);
  rules.check(attribute);
  const fits = make(rest.slice(dot + 1), rules.ignoresCase(attribute));
  return (look) => fits(follow(look(attribute), steps)) !== negated;
}

/** `(a.eq.1,or(b.is.null,c.gt.2))`, all or any of them. @throws as `readFilter` */
export function readGroup(
  kind: 'and' | 'or',
  text: string,
  rules: FilterRules,
  depth = 0,
): Condition {
  if (depth > MAX_DEPTH) refuseFilter(text);
  const parts = splitGroup(text);
  if (parts.length > MAX_CONDITIONS) refuseFilter(text);
  const conditions = parts.map((part) => {
    const inner = /^(?<kind>and|or)(?<list>\(.*\))$/s.exec(part)?.groups;
    if (inner !== undefined) {
      return readGroup(inner['kind'] as 'and' | 'or', inner['list'] ?? '', rules, depth + 1);
    }
    const dot = part.indexOf('.');
    if (dot < 1) refuseFilter(text);
    return readFilter(part.slice(0, dot), part.slice(dot + 1), rules);
  });
  return kind === 'and'
    ? (look) => conditions.every((fits) => fits(look))
    : (look) => conditions.some((fits) => fits(look));
}

/** Made of the value in the query, so that what is wrong with that is said also of an empty list. */
type Operator = (value: string, ignoresCase: boolean) => (seen: Json) => boolean;

const operators: Readonly<Record<string, Operator>> = {
  eq: (value, ignoresCase) => (seen) => equals(seen, value, ignoresCase),
  neq: (value, ignoresCase) => (seen) => seen !== null && !equals(seen, value, ignoresCase),
  gt: (value) => (seen) => order(seen, value, (by) => by > 0),
  gte: (value) => (seen) => order(seen, value, (by) => by >= 0),
  ge: (value) => (seen) => order(seen, value, (by) => by >= 0),
  lt: (value) => (seen) => order(seen, value, (by) => by < 0),
  lte: (value) => (seen) => order(seen, value, (by) => by <= 0),
  le: (value) => (seen) => order(seen, value, (by) => by <= 0),
  like: (value) => (seen) => like(seen, value, false),
  ilike: (value) => (seen) => like(seen, value, true),
  in: (value, ignoresCase) => {
    const values = listed(value, '(', ')');
    return (seen) => values.some((one) => equals(seen, one, ignoresCase));
  },
  is: (value) => (seen) => (value === 'null' ? seen === null : equals(seen, value, true)),
  cs: (value) => {
    const wanted = listed(value, '{', '}');
    return (seen) => wanted.every((one) => texts(seen).includes(one));
  },
  cd: (value) => {
    const allowed = listed(value, '{', '}');
    return (seen) => Array.isArray(seen) && texts(seen).every((one) => allowed.includes(one));
  },
};

function texts(value: Json): readonly string[] {
  return Array.isArray(value) ? value.map((one: Json) => textOf(one)) : [];
}

function equals(seen: Json, value: string, ignoresCase: boolean): boolean {
  if (seen === null) return false;
  if (typeof seen === 'boolean') return textOf(seen) === value.toLowerCase();
  if (typeof seen === 'number') return value.trim() !== '' && seen === Number(value);
  const text = textOf(seen);
  return ignoresCase ? text.toLowerCase() === value.toLowerCase() : text === value;
}

function order(seen: Json, value: string, fits: (by: number) => boolean): boolean {
  if (seen === null) return false;
  if (typeof seen === 'number') return fits(seen - Number(value));
  const text = textOf(seen);
  const [a, b] = [Date.parse(text), Date.parse(value)];
  const areInstants = /^\d{4}-\d\d-\d\dT/.test(text) && !Number.isNaN(b);
  if (areInstants) return fits(a - b);
  return fits(text < value ? -1 : Number(text > value));
}

function like(seen: Json, pattern: string, ignoresCase: boolean): boolean {
  if (seen === null) return false;
  const [text, wanted] = ignoresCase
    ? [textOf(seen).toLowerCase(), pattern.toLowerCase()]
    : [textOf(seen), pattern];
  const [first = '', ...others] = wanted.split('*');
  if (others.length === 0) return text === first;
  const last = others.pop() ?? '';
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of others) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}

function listed(value: string, open: string, close: string): readonly string[] {
  if (!value.startsWith(open) || !value.endsWith(close)) refuseFilter(value);
  return value
    .slice(1, -1)
    .split(',')
    .map((item) => item.trim().replace(/^"(.*)"$/, '$1'));
}

function follow(value: Json, steps: readonly string[]): Json {
  let at = value;
  for (const step of steps) {
    if (Array.isArray(at)) at = (at as readonly Json[])[Number(step)] ?? null;
    else if (typeof at === 'object' && at !== null && Object.hasOwn(at, step)) {
      at = (at as Readonly<Record<string, Json>>)[step] ?? null;
    } else return null;
  }
  return at;
}

function textOf(value: Json): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** The parts of a group, split at the commas that are not inside of one of them. */
function splitGroup(text: string): readonly string[] {
  if (!text.startsWith('(') || !text.endsWith(')')) refuseFilter(text);
  const parts: string[] = [''];
  let depth = 0;
  for (const char of text.slice(1, -1)) {
    if (char === '(') depth += 1;
    if (char === ')') depth -= 1;
    if (char === ',' && depth === 0) parts.push('');
    else parts.push(`${parts.pop() ?? ''}${char}`);
  }
  return parts;
}

function refuseFilter(text: string): never {
  const sentence = `The filter cannot be understood: ${text.slice(0, 100)}`;
  throw new PowerStoreError('malformed_url', sentence);
}
