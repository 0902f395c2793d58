/**
 * Which attributes an answer shows: `id,name,volumes(id,protection_policy(name)),*`.
 *
 * Blanks are ignored, repeats are merged. `*` is all attributes of the resource's own, links are
 * asked for by name. The prefix before a dot is a table's name, which clients send and which is what
 * the link is then called: `volume.volume_group_membership(id)`.
 */
import { PowerStoreError } from './errors.ts';

const MAX_ITEMS = 500;
const MAX_DEPTH = 5;

/** Names and, of links, what of the linked resource is shown; `undefined`: its id only. */
export type Selection = ReadonlyMap<string, Selection | undefined>;

const name = /^(\*|[A-Za-z_][\w]*(\.[A-Za-z_]\w*)?)$/;

/** @throws PowerStoreError `malformed_url` */
export function readSelect(text: string): Selection {
  const parts = { text, at: 0, items: 0 };
  const selection = readItems(parts, 0);
  if (parts.at < text.length) refuseSelect(text);
  return selection;
}

interface Parts {
  readonly text: string;
  at: number;
  items: number;
}

function readItems(parts: Parts, depth: number): Selection {
  const items = new Map<string, Selection | undefined>();
  for (;;) {
    const [itemName, inner] = readItem(parts, depth);
    const known = items.get(itemName);
    items.set(itemName, known && inner ? new Map([...known, ...inner]) : (inner ?? known));
    if (parts.text[parts.at] !== ',') return items;
    parts.at += 1;
  }
}

function readItem(parts: Parts, depth: number): readonly [string, Selection | undefined] {
  const { text } = parts;
  const start = parts.at;
  while (parts.at < text.length && !'(),'.includes(text.charAt(parts.at))) parts.at += 1;
  const item = text.slice(start, parts.at).trim();
  parts.items += 1;
  if (!name.test(item) || parts.items > MAX_ITEMS || depth > MAX_DEPTH) refuseSelect(text);
  const [table = item] = item.split('.', 1);
  if (text[parts.at] !== '(') return [table, undefined];
  parts.at += 1;
  const inner = readItems(parts, depth + 1);
  if (text[parts.at] !== ')') refuseSelect(text);
  parts.at += 1;
  while (text[parts.at] === ' ') parts.at += 1;
  return [table, inner];
}

function refuseSelect(text: string): never {
  const sentence = `The select parameter cannot be understood: ${text.slice(0, 100)}`;
  throw new PowerStoreError('malformed_url', sentence);
}
