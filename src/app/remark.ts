import type { GroupId, PointId, SourceId, VolumeId } from '../domain/ids.ts';
import { remark } from '../domain/remarks.ts';
import type { RemarkValue } from '../domain/remarks.ts';
import type { AppPorts } from './app-ports.ts';

/** One thing, and what is said of it; undefined takes a word back. */
export interface RemarkOn {
  readonly on:
    | { readonly volumeId: VolumeId }
    | { readonly groupId: GroupId }
    | { readonly pointId: PointId }
    | { readonly sourceId: SourceId };
  readonly dialect: string;
  readonly told: Readonly<Record<string, RemarkValue | undefined>>;
}

/**
 * Keeps what a client says of a thing and Baton has no use for. A repeat changes nothing.
 *
 * @throws Refusal `not_found`
 */
export function remarkOn(
  { store }: Pick<AppPorts, 'store'>,
  { on, dialect, told }: RemarkOn,
): Promise<void> {
  return store.transaction(async (tx) => {
    const add = <Row extends { readonly remarks?: Parameters<typeof remark>[0] }>(
      row: Row,
    ): Row => ({
      ...row,
      remarks: remark(row.remarks, dialect, told),
    });
    if ('volumeId' in on) await tx.volumes.change(on.volumeId, add);
    else if ('groupId' in on) await tx.groups.change(on.groupId, add);
    else if ('pointId' in on) await tx.points.change(on.pointId, add);
    else await tx.importSources.change(on.sourceId, add);
  });
}
