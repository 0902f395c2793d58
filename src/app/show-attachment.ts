import type { SiteId, VolumeId } from '../domain/ids.ts';
import { requireHolder } from '../domain/ownership.ts';
import type { AppPorts } from './app-ports.ts';

/** What a host needs to know to attach a volume, besides its own certificate. */
export interface AttachmentView {
  readonly volumeName: string;
  readonly sizeBytes: number;
  /** The NBD export's name. */
  readonly exportName: string;
  /** A name that the server's certificate carries, beside its address: the site's id. */
  readonly tlsName: SiteId;
  /** Hosts may attach now; else the volume opens soon, at an address that is not known yet. */
  readonly serving: boolean;
  readonly address: { readonly host: string; readonly port: number } | undefined;
  /** Names of the hosts that are admitted. */
  readonly hosts: readonly string[];
}

/** @throws Refusal `not_found`, `not_holder` naming the site to ask instead */
export async function showAttachment(
  { store, engine, here }: Pick<AppPorts, 'store' | 'engine' | 'here'>,
  volumeId: VolumeId,
): Promise<AttachmentView> {
  const { volume, group } = await store.read(async (tx) => {
    const row = await tx.volumes.need(volumeId);
    return { volume: row, group: await tx.groups.need(row.groupId) };
  });
  requireHolder(group.id, group.ownership, here);
  const { serving, address } = await engine.inspect(group.id);
  return {
    volumeName: volume.name,
    sizeBytes: volume.sizeBytes,
    exportName: volume.name,
    tlsName: here,
    serving,
    address: serving ? address : undefined,
    hosts: group.hosts,
  };
}
