/** Bodies, queries and paths against their schemas; what does not fit is a refusal that says why. */
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { Validator } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { Value } from 'typebox/value';
import { Refusal } from '../../domain/refusal.ts';
import type { Reason } from '../../domain/refusal.ts';

const MAX_SEEN_LENGTH = 80;
/** What must not be repeated in an answer or a log. */
const SECRET_FIELDS = new Set(['password', 'privateKey', 'token']);

/**
 * Checks what came. A body is taken as it is: no member is dropped, no text becomes a number. In
 * queries and paths all is text, so there numbers and booleans are read from it. A schema is compiled
 * when the first request meets it: a site that starts has better things to do.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  let compiled: Validator | undefined;
  return (value: unknown) => {
    compiled ??= Compile(schema) as Validator;
    const read = httpPart === 'body' ? value : Value.Convert(schema, structuredClone(value));
    if (compiled.Check(read)) return { value: read };
    const [first] = compiled.Errors(read).toSorted(byDepth);
    return { error: new Refusal(reasonOf(first, read, partName(httpPart), schema)) };
  };
};

/** The error that says most: of the innermost value, and not that no branch of a union fits. */
function byDepth(a: TLocalizedValidationError, b: TLocalizedValidationError): number {
  return depth(b) - depth(a);
}

function depth({ instancePath, keyword }: TLocalizedValidationError): number {
  const generic = keyword === 'boolean' ? -3 : keyword === 'anyOf' || keyword === 'const' ? -1 : 0;
  return instancePath.split('/').length * 2 + generic;
}

function reasonOf(
  error: TLocalizedValidationError | undefined,
  value: unknown,
  part: string,
  schema: TSchema,
): Reason & { readonly code: 'invalid' } {
  if (error === undefined) {
    return { code: 'invalid', field: part, wanted: 'what the API describes', seen: 'other' };
  }
  const path = error.instancePath.split('/').slice(1).map(unescaped);
  const [missing] = error.keyword === 'required' ? error.params.requiredProperties : [];
  const [unknown] =
    error.keyword === 'additionalProperties' ? error.params.additionalProperties : [];
  const inner = missing ?? unknown;
  const names = inner === undefined ? path : [...path, inner];
  const field = clipped(names.length === 0 ? part : names.join('.'));
  if (unknown !== undefined) {
    const wanted = `one of the members ${membersOf(schema).join(', ')}`;
    return { code: 'invalid', field, wanted, seen: 'an unknown one' };
  }
  const seen = names.some((name) => SECRET_FIELDS.has(name))
    ? 'something else'
    : spoken(names.reduce(memberOf, value));
  return { code: 'invalid', field, wanted: wantedBy(error), seen };
}

function wantedBy(error: TLocalizedValidationError): string {
  switch (error.keyword) {
    case 'required':
      return 'a value';
    case 'type':
      return [error.params.type].flat().map(withArticle).join(' or ');
    case 'enum':
      return `one of ${error.params.allowedValues.join(', ')}`;
    case 'const':
      return JSON.stringify(error.params.allowedValue);
    case 'minimum':
      return `at least ${error.params.limit}`;
    case 'maximum':
      return `at most ${error.params.limit}`;
    case 'minLength':
      return `at least ${error.params.limit} characters`;
    case 'maxLength':
      return `at most ${error.params.limit} characters`;
    case 'format':
      return `a ${error.params.format}`;
    default:
      return error.message.replace(/^must /, 'to ');
  }
}

function withArticle(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function partName(httpPart: string | undefined): string {
  return httpPart === 'querystring' ? 'query' : (httpPart ?? 'request');
}

/** Bodies and queries are flat, so an unknown member is one of the outermost. */
function membersOf(schema: TSchema): readonly string[] {
  return 'properties' in schema ? Object.keys(schema.properties as object) : [];
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function spoken(value: unknown): string {
  return value === undefined ? 'nothing' : clipped(JSON.stringify(value));
}

function clipped(text: string): string {
  return text.length > MAX_SEEN_LENGTH ? `${text.slice(0, MAX_SEEN_LENGTH)}…` : text;
}

function unescaped(pointer: string): string {
  return pointer.replaceAll('~1', '/').replaceAll('~0', '~');
}
