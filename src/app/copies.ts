/** Copies as a caller sees them, and what keeps them as they should be. */
import { historyOfCopy } from '../domain/copy.ts';
import type { Copy } from '../domain/copy.ts';
import type { CopyId, GroupId } from '../domain/ids.ts';
import { refuse } from '../domain/refusal.ts';
import type { CopyInspection } from '../ports/engine-copies.ts';
import type { Transaction } from '../ports/store.ts';
import type { AppPorts } from './app-ports.ts';
import { startClosing } from './close-copy.ts';

/** A copy's row joined with what is true of it now. */
export interface CopyView extends Copy {
  readonly groupName: string;
  /** The name in the certificate of what serves it. */
  readonly tlsName: string;
  /** Absent: its data plane is not there yet, or not any more. */
  readonly opened: CopyInspection | undefined;
}

type Deps = Pick<AppPorts, 'store' | 'engine' | 'here'>;

export async function listCopies(
  ports: Deps,
  filter: { readonly groupId?: GroupId | undefined },
): Promise<readonly CopyView[]> {
  const like = filter.groupId === undefined ? {} : { groupId: filter.groupId };
  const copies = await ports.store.read((tx) => tx.copies.where(like));
  return Promise.all(copies.map((copy) => view(ports, copy)));
}

/** @throws Refusal `not_found` */
export async function showCopy(ports: Deps, copyId: CopyId): Promise<CopyView> {
  return view(ports, await ports.store.read((tx) => tx.copies.need(copyId)));
}

/** A volume or a group does not go while something that was opened beside it shows it. */
export async function refuseWhileCopied(tx: Transaction, groupId: GroupId): Promise<void> {
  const [copy] = await tx.copies.where({ groupId });
  if (copy === undefined) return;
  const { name } = await tx.groups.need(groupId);
  refuse({ code: 'in_use', what: 'group', id: name, by: `copy ${copy.name} of it` });
}

/** Opens the copies whose data plane is not there: a restart or a crash ended it. */
export async function keepCopiesOpen({
  store,
  engine,
  log,
}: Pick<AppPorts, 'store' | 'engine' | 'log'>): Promise<void> {
  const copies = await store.read((tx) => tx.copies.where({ state: 'open' }));
  for (const copy of copies) {
    const { id: copyId, groupId, of, writable, hosts, name } = copy;
    try {
      const { copies: seen } = await engine.inspect(groupId);
      const opened = seen.find((one) => one.copyId === copyId);
      if (opened?.dataPlane !== 'stopped') continue;
      log.warn({ event: 'copy_opened_again', copyId, groupId, name });
      await engine.openCopy({
        groupId,
        copyId,
        of,
        writable,
        access: { hosts, history: historyOfCopy(copy) },
      });
    } catch (error) {
      log.error({ event: 'copy_supervision_failed', copyId, groupId, error });
    }
  }
}

/** Counts down what is left of each copy's term, and ends those that have none left. */
export async function countDownCopies(
  { store, clock, log }: Pick<AppPorts, 'store' | 'clock' | 'log'>,
  elapsedMs: number,
): Promise<void> {
  const copies = await store.read((tx) => tx.copies.all());
  for (const { id, name, leftMs, state } of copies) {
    if (leftMs === undefined || state !== 'open') continue;
    await store.transaction(async (tx) => {
      const left = Math.max(0, leftMs - elapsedMs);
      const copy = await tx.copies.change(id, (c) => ({ ...c, leftMs: left }));
      if (left > 0) return;
      await startClosing(tx, copy, undefined, clock.now());
      log.info({ event: 'copy_term_ended', copyId: id, name });
    });
  }
}

async function view({ store, engine, here }: Deps, copy: Copy): Promise<CopyView> {
  const groupName = (await store.read((tx) => tx.groups.need(copy.groupId))).name;
  const { copies } = await engine.inspect(copy.groupId);
  return {
    ...copy,
    groupName,
    tlsName: here,
    opened: copies.find(({ copyId }) => copyId === copy.id),
  };
}
