/** The arguments of a request against their schema, in the vendor's order of looking. */
import { Value } from 'typebox/value';
import type { Static, TObject, TSchema } from 'typebox';
import type { Data } from './bodies.ts';
import { isObject } from './bodies.ts';
import { NimbleError } from './errors.ts';

const MAX_SEEN_LENGTH = 80;
/** What must not be repeated in an answer or a log. */
const SECRETS = new Set(['password', 'secret', 'auth_password', 'session_token']);

/**
 * The data with its texts read as what they stand for: some of the vendor's clients send only texts.
 *
 * @throws NimbleError `SM_unexpected_arg`, `SM_missing_arg`, `SM_unexpected_child`,
 *   `SM_invalid_arg_value`
 */
export function checkData<S extends TObject>(schema: S, data: Data): Static<S> {
  const { properties } = schema;
  for (const arg of Object.keys(data)) {
    if (!Object.hasOwn(properties, arg)) refuseArgument('SM_unexpected_arg', arg, 'is not known');
  }
  for (const arg of schema.required ?? []) {
    if (!Object.hasOwn(data, arg)) refuseArgument('SM_missing_arg', arg, 'is mandatory');
  }
  const read = Object.fromEntries(
    Object.entries(data).map(([arg, value]) => {
      const member = properties[arg] as TSchema;
      return [arg, checkArgument(arg, member, fromText(member, value))];
    }),
  );
  return read as Static<S>;
}

function checkArgument(arg: string, schema: TSchema, value: unknown): unknown {
  if (Value.Check(schema, value)) return value;
  const isNested = 'type' in schema && schema.type !== 'object' && isObject(value);
  if (isNested) refuseArgument('SM_unexpected_child', arg, 'has no members');
  const [error] = Value.Errors(schema, value);
  const seen = SECRETS.has(arg) ? '' : `, not ${clipped(JSON.stringify(value))}`;
  return refuseArgument('SM_invalid_arg_value', arg, `${wantedBy(schema, error?.message)}${seen}`);
}

function wantedBy(schema: TSchema, message: string | undefined): string {
  const values = 'enum' in schema ? (schema.enum as readonly string[]) : undefined;
  if (values !== undefined) return `is one of ${values.join(', ')}`;
  if ('pattern' in schema && 'description' in schema) return `is ${String(schema.description)}`;
  return message ?? 'has another form';
}

function refuseArgument(
  code: 'SM_unexpected_arg' | 'SM_missing_arg' | 'SM_unexpected_child' | 'SM_invalid_arg_value',
  arg: string,
  what: string,
): never {
  const named = clipped(arg);
  throw new NimbleError(code, `'${named}' ${what}.`, { arg: named });
}

function fromText(schema: TSchema, value: unknown): unknown {
  const type = 'type' in schema ? schema.type : undefined;
  if (typeof value === 'string') {
    if (type === 'boolean' && /^(true|false)$/i.test(value)) return value.toLowerCase() === 'true';
    if (type === 'integer' && /^-?\d{1,20}$/.test(value)) return Number(value);
  }
  if (type === 'string' && (typeof value === 'number' || typeof value === 'boolean')) {
    return String(value);
  }
  return value;
}

function clipped(text: string): string {
  return text.length > MAX_SEEN_LENGTH ? `${text.slice(0, MAX_SEEN_LENGTH)}…` : text;
}
