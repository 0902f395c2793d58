/** Which of our groups clients see as volume collections, and how one is found by its id. */
import type { App } from '../../app/app.ts';
import type { GroupView } from '../../app/views.ts';
import type { GroupId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { fromWire } from './ids.ts';

/** A lone volume's group is seen while it replicates: the vendor's volumes have no session alone. */
export function isShown({ implicit, session }: Pick<GroupView, 'implicit' | 'session'>): boolean {
  return !implicit || session !== undefined;
}

export async function shownGroups(app: App): Promise<readonly GroupView[]> {
  return (await app.listGroups()).filter(isShown);
}

/** @throws Refusal `not_found` */
export async function groupOf(app: App, id: string): Promise<GroupView> {
  const groupId = fromWire<GroupId>('volume_collection', id)?.id;
  const group = (await shownGroups(app)).find((g) => g.id === groupId);
  return group ?? refuse({ code: 'not_found', what: 'group', id });
}
