import type { GroupId } from '../domain/ids.ts';

/**
 * Opening a group to its hosts and closing it never overlap. Who opens looks inside the gate
 * whether it still may; who closes has recorded before that nobody may. So an opening that was
 * decided on before a fence can only come before the fence, or not at all.
 */
export class GroupGate {
  readonly #last = new Map<GroupId, Promise<unknown>>();

  through<T>(groupId: GroupId, work: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(groupId) ?? Promise.resolve()).then(work, work);
    const ended = turn.catch(() => undefined);
    this.#last.set(groupId, ended);
    void ended.then(() => {
      if (this.#last.get(groupId) === ended) this.#last.delete(groupId);
    });
    return turn;
  }
}
