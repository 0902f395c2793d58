/** Bodies are JSON objects with one member that names what they are about. */
import type { FastifyInstance } from 'fastify';
import { Value } from 'typebox/value';
import type { Static, TObject } from 'typebox';
import { Fault } from './errors.ts';

/** The vendor's own limit. */
const MAX_BODY_BYTES = 112 * 1024;
const MAX_SEEN_LENGTH = 80;

export type Members = Readonly<Record<string, unknown>>;

export function takeJsonOnly(http: FastifyInstance): void {
  http.removeAllContentTypeParsers();
  const parse = http.getDefaultJsonParser('error', 'error');
  http.addContentTypeParser<string>(
    'application/json',
    { parseAs: 'string', bodyLimit: MAX_BODY_BYTES },
    (request, text, done) => {
      if (text === '') done(null, undefined);
      else void parse(request, text, done);
    },
  );
}

export interface ReadOptions {
  /** Members that the schema does not have are refused; else they are ignored. */
  readonly strict: boolean;
}

/**
 * The member of the body that the request is about. A null member of it is as good as none.
 *
 * @throws Fault 400 that says which member, what was wanted and what came
 */
export function readMember<S extends TObject>(
  body: unknown,
  name: string,
  schema: S,
  { strict }: ReadOptions,
): Static<S> {
  const value = isMembers(body) ? body[name] : undefined;
  if (!isMembers(value)) {
    throw new Fault(400, `Malformed request body: wanted {"${name}": {…}}.`);
  }
  const known = Object.entries(value).filter(([, member]) => member !== null);
  const stranger = known.find(([member]) => !Object.hasOwn(schema.properties, member));
  if (strict && stranger !== undefined) {
    const members = Object.keys(schema.properties).join(', ');
    throw new Fault(400, `Invalid input for ${clipped(stranger[0])}: wanted one of ${members}.`);
  }
  const read = Object.fromEntries(
    known.filter(([member]) => Object.hasOwn(schema.properties, member)),
  );
  if (Value.Check(schema, read)) return read;
  const [error] = Value.Errors(schema, read);
  const path = error?.instancePath.split('/').slice(1).join('.') ?? '';
  const missing = error?.keyword === 'required' ? error.params.requiredProperties.join(', ') : '';
  if (missing !== '') throw new Fault(400, `Invalid input: '${missing}' is a required property.`);
  const seen = clipped(JSON.stringify(path === '' ? read : read[path.split('.')[0] ?? '']));
  throw new Fault(
    400,
    `Invalid input for field/attribute ${path}. Value: ${seen}. It ${error?.message ?? 'is not as it should be'}.`,
  );
}

export function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function clipped(text: string): string {
  return text.length > MAX_SEEN_LENGTH ? `${text.slice(0, MAX_SEEN_LENGTH)}…` : text;
}
