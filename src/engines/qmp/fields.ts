/** A JSON object whose fields nobody has looked at yet. */
export type Fields = { readonly [name: string]: unknown };

/** A reply that is not what the QMP reference promises: a daemon that we do not know. */
export class MalformedReply extends Error {
  override readonly name = 'MalformedReply';
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function fields(value: unknown): Fields {
  if (isFields(value)) return value;
  throw new MalformedReply(`wanted an object, got ${typeof value}`);
}

export function list(value: unknown): readonly Fields[] {
  if (Array.isArray(value)) return value.map(fields);
  throw new MalformedReply(`wanted a list, got ${typeof value}`);
}

export function text(from: Fields, name: string): string {
  return optionalText(from, name) ?? missing(name, 'a string', from[name]);
}

export function optionalText(from: Fields, name: string): string | undefined {
  const value = from[name];
  return typeof value === 'string' ? value : undefined;
}

export function count(from: Fields, name: string): number {
  const value = from[name];
  return typeof value === 'number' ? value : missing(name, 'a number', value);
}

export function flag(from: Fields, name: string): boolean {
  return from[name] === true;
}

export function optionalFields(from: Fields, name: string): Fields | undefined {
  const value = from[name];
  return isFields(value) ? value : undefined;
}

function missing(name: string, wanted: string, seen: unknown): never {
  throw new MalformedReply(`${name}: wanted ${wanted}, got ${typeof seen}`);
}
