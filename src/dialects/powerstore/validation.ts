/** The properties of a body against their schema. */
import { Value } from 'typebox/value';
import type { Static, TObject, TSchema } from 'typebox';
import type { Body } from './bodies.ts';
import { PowerStoreError } from './errors.ts';

const MAX_SEEN_LENGTH = 80;
/** What must not be repeated in an answer or a log. */
const SECRETS = new Set(['password', 'remote_password', 'import_chap_info']);

/**
 * The body, checked. A property that is `null` counts as absent unless its schema takes `null`:
 * some clients always send every property they know.
 *
 * @throws PowerStoreError `invalid_body`, `invalid_request`
 */
export function checkBody<S extends TObject>(schema: S, body: Body): Static<S> {
  const { properties } = schema;
  const strangers = Object.keys(body).filter((name) => !Object.hasOwn(properties, name));
  if (strangers.length > 0) {
    const names = strangers.slice(0, 10).map(clipped).join(', ');
    const sentence = `The request has properties that are not known here: [${names}]`;
    throw new PowerStoreError('invalid_body', sentence, names);
  }
  const given = Object.entries(body).filter(
    ([name, value]) => value !== null || Value.Check(properties[name] as TSchema, null),
  );
  const read = Object.fromEntries(given);
  for (const name of schema.required ?? []) {
    if (Object.hasOwn(read, name)) continue;
    throw new PowerStoreError('invalid_body', `The property [${name}] is required.`, name);
  }
  for (const [name, value] of given) checkProperty(name, properties[name] as TSchema, value);
  return read as Static<S>;
}

function checkProperty(name: string, schema: TSchema, value: unknown): void {
  if (Value.Check(schema, value)) return;
  const seen = SECRETS.has(name) ? '' : `, not ${clipped(JSON.stringify(value))}`;
  const values = enumOf(schema);
  if (values !== undefined) {
    const sentence = `[${name}] is one of ${values.join(', ')}${seen}.`;
    throw new PowerStoreError('invalid_request', sentence, name);
  }
  const [error] = Value.Errors(schema, value);
  const wanted = (error?.message ?? 'has another form').replace(/^must /, '');
  throw new PowerStoreError('invalid_body', `[${name}] has to ${wanted}${seen}.`, name);
}

function enumOf(schema: TSchema): readonly string[] | undefined {
  return 'enum' in schema ? (schema.enum as readonly string[]) : undefined;
}

function clipped(text: string): string {
  return text.length > MAX_SEEN_LENGTH ? `${text.slice(0, MAX_SEEN_LENGTH)}…` : text;
}
