/** What a resource is on the wire: attributes of its own, and links to other resources. */
import { display } from './l10n.ts';
import type { DisplayTexts } from './l10n.ts';
import { refuseAttribute } from './lists.ts';
import { nameIn } from './ids.ts';
import { PowerStoreError } from './errors.ts';
import type { Code } from './codes.ts';
import type { Selection } from './select.ts';
import type { Json } from './schemas.ts';
import type { World } from './world.ts';

/** One instance. Links hold ids: one, none, or a list of them. */
export interface Row {
  readonly attributes: Readonly<Record<string, Json>>;
  readonly links: Readonly<Record<string, string | null | readonly string[]>>;
}

export interface ResourceType {
  /** As in the path. */
  readonly name: string;
  readonly attributes: readonly string[];
  /** Attributes that have a display text beside them. */
  readonly texts: Readonly<Record<string, DisplayTexts>>;
  /** The resource that a link leads to, or what it is like when it leads nowhere here. */
  readonly links: Readonly<Record<string, string | typeof NONE | typeof NOTHING>>;
  readonly rows: (world: World) => Promise<readonly Row[]>;
  /** The whole list comes at once, and a filter that does not fit it is no error. */
  readonly isSimple: boolean;
  /** What an unknown id is answered with. */
  readonly unknown: Code;
}

/** A list of things that do not exist here. */
export const NONE = Symbol('an empty list');
/** One thing that does not exist here. */
export const NOTHING = Symbol('null');

interface Description<A extends string, L extends string> {
  readonly name: string;
  readonly attributes: readonly A[];
  readonly texts?: { readonly [K in A]?: DisplayTexts };
  readonly links?: Readonly<Record<L, string>>;
  /** Links to what this system does not have. */
  readonly none?: readonly string[];
  readonly nothing?: readonly string[];
  readonly rows: (world: World) => Promise<readonly TypedRow<A, L>[]>;
  readonly isSimple?: boolean;
  readonly unknown?: Code;
}

interface TypedRow<A extends string, L extends string> {
  readonly attributes: Readonly<Record<A, Json>>;
  readonly links: Readonly<Record<L, string | null | readonly string[]>>;
}

/** A type whose rows have all the attributes and links that it names, and no others. */
export function resourceType<A extends string, L extends string = never>({
  name,
  attributes,
  texts = {},
  links = {} as Readonly<Record<L, string>>,
  none = [],
  nothing = [],
  rows,
  isSimple = false,
  unknown = 'no_such_instance',
}: Description<A, L>): ResourceType {
  return {
    name,
    attributes,
    texts: texts as Readonly<Record<string, DisplayTexts>>,
    links: {
      ...links,
      ...Object.fromEntries(none.map((link) => [link, NONE])),
      ...Object.fromEntries(nothing.map((link) => [link, NOTHING])),
    },
    rows,
    isSimple,
    unknown,
  };
}

/** What may be filtered and sorted by. */
export function hasAttribute({ attributes, texts }: ResourceType, attribute: string): boolean {
  return attributes.includes(attribute) || companionOf(texts, attribute) !== undefined;
}

export function look({ texts }: ResourceType, row: Row, attribute: string): Json {
  const token = companionOf(texts, attribute);
  if (token === undefined) return row.attributes[attribute] ?? null;
  return display(texts[token] ?? {}, row.attributes[token] ?? null);
}

/** Of a row that has it: its id, its name. */
export function textIn({ attributes }: Row, attribute: 'id' | 'name'): string {
  const value = attributes[attribute];
  return typeof value === 'string' ? value : '';
}

const L10N = '_l10n';

function companionOf(texts: ResourceType['texts'], attribute: string): string | undefined {
  const token = attribute.endsWith(L10N) ? attribute.slice(0, -L10N.length) : undefined;
  return token !== undefined && Object.hasOwn(texts, token) ? token : undefined;
}

/** By its id, or as `name:X` by its name. @throws PowerStoreError 404 */
export async function findRow(type: ResourceType, world: World, reference: string): Promise<Row> {
  const rows = await type.rows(world);
  const name = nameIn(reference);
  const found =
    name === undefined
      ? rows.find((row) => textIn(row, 'id').toLowerCase() === reference.toLowerCase())
      : rows.find((row) => row.attributes['name'] === name);
  return found ?? refuseUnknown(type, reference);
}

export function refuseUnknown(
  { name, unknown }: Pick<ResourceType, 'name' | 'unknown'>,
  id: string,
): never {
  const named = id.slice(0, 100);
  throw new PowerStoreError(unknown, `Instance with id ${named} does not exist in ${name}.`, named);
}

/** Shows what was selected of an instance, its links included. */
export async function show(
  types: ReadonlyMap<string, ResourceType>,
  world: World,
  type: ResourceType,
  row: Row,
  selection: Selection,
): Promise<Json> {
  const shown: Record<string, Json> = {};
  for (const [name, inner] of selection) {
    if (name === '*') Object.assign(shown, own(type, row));
    else if (hasAttribute(type, name)) {
      // An embedded object always comes whole.
      shown[name] = look(type, row, name);
    } else if (Object.hasOwn(type.links, name)) {
      shown[name] = await showLink(types, world, type.links[name] ?? NONE, row.links[name], inner);
    } else refuseAttribute(type.name, name);
  }
  return shown;
}

/** @throws PowerStoreError `unknown_attribute`, also where there is no instance to show */
export function checkSelection(
  types: ReadonlyMap<string, ResourceType>,
  type: ResourceType,
  selection: Selection,
): void {
  for (const [name, inner] of selection) {
    if (name === '*' || hasAttribute(type, name)) continue;
    if (!Object.hasOwn(type.links, name)) refuseAttribute(type.name, name);
    const to = type.links[name];
    const linked = typeof to === 'string' ? types.get(to) : undefined;
    if (linked !== undefined && inner !== undefined) checkSelection(types, linked, inner);
  }
}

function own(type: ResourceType, row: Row): Readonly<Record<string, Json>> {
  const texts = Object.keys(type.texts).map((token) => token + L10N);
  return Object.fromEntries(
    [...type.attributes, ...texts].map((attribute) => [attribute, look(type, row, attribute)]),
  );
}

async function showLink(
  types: ReadonlyMap<string, ResourceType>,
  world: World,
  to: string | typeof NONE | typeof NOTHING,
  ids: string | null | undefined | readonly string[],
  inner: Selection | undefined,
): Promise<Json> {
  if (to === NOTHING || ids === null) return null;
  const linked = typeof to === 'string' ? types.get(to) : undefined;
  if (linked === undefined || ids === undefined) return [];
  const selection: Selection = inner ?? new Map([['id', undefined]]);
  const rows = await linked.rows(world);
  const one = async (id: string): Promise<Json> => {
    const row = rows.find((r) => r.attributes['id'] === id);
    return row === undefined ? null : show(types, world, linked, row, selection);
  };
  if (typeof ids === 'string') return one(ids);
  return (await Promise.all(ids.map(one))).filter((shown) => shown !== null);
}
