/** What a body names by an id or by `name:X`. */
import { isId } from '../../domain/ids.ts';
import { nameIn } from './ids.ts';
import { PowerStoreError } from './errors.ts';
import type { World } from './world.ts';

interface Named {
  readonly id: string;
  readonly name: string;
}

const kinds = {
  volume: ({ volumes }: World) => volumes(),
  volume_group: async ({ groups }: World) => (await groups()).filter((g) => !g.implicit),
  host: ({ hosts }: World) => hosts(),
  host_group: () => Promise.resolve([]),
  policy: async ({ policies }: World) => ownFirst(await policies()),
  replication_rule: async ({ rules }: World) => ownFirst(await rules()),
  remote_system: ({ peers }: World) => peers(),
  /** A remote system of another type. */
  import_source: ({ sources }: World) => sources(),
  import_session: ({ imports }: World) => imports(),
} as const satisfies Readonly<Record<string, (world: World) => Promise<readonly Named[]>>>;

/** A copy of another site's may have the name of one of this site's own. */
function ownFirst<T extends { readonly replicaOf: unknown }>(all: readonly T[]): readonly T[] {
  return all.toSorted(
    (a, b) => Number(a.replicaOf !== undefined) - Number(b.replicaOf !== undefined),
  );
}

type Kind = keyof typeof kinds;

const unknown = {
  volume: 'volume_not_found',
  policy: 'policy_not_found',
  replication_rule: 'policy_not_found',
} as const;

/**
 * The id of what is named; undefined where nothing is.
 *
 * @throws PowerStoreError 404
 */
export async function idOf<Id extends string>(
  world: World,
  kind: Kind,
  reference: string | undefined,
): Promise<Id | undefined> {
  return reference === undefined ? undefined : needId<Id>(world, kind, reference);
}

/** @throws PowerStoreError 404 */
export async function needId<Id extends string>(
  world: World,
  kind: Kind,
  reference: string,
): Promise<Id> {
  const all: readonly Named[] = await kinds[kind](world);
  const name = nameIn(reference);
  const id = reference.toLowerCase();
  const found = all.find((one) =>
    name === undefined ? isId(id) && one.id === id : one.name === name,
  );
  if (found !== undefined) return found.id as Id;
  const code = kind in unknown ? unknown[kind as keyof typeof unknown] : 'no_such_instance';
  const named = reference.slice(0, 100);
  throw new PowerStoreError(code, `Unable to find ${kind.replace('_', ' ')} ${named}.`, named);
}
