import type { CopyId, GroupId, SiteId, VolumeId } from '../../src/domain/ids.ts';
import type { Engine, ReceivingTarget, ServedGroup } from '../../src/ports/engine.ts';

/** What the engine's contract needs of an adapter: two sites, and a way to be host or fate. */
export interface ContractSites {
  readonly a: ContractSite;
  readonly b: ContractSite;
  close(): Promise<void>;
}

/** Within a test, when the sites are open. */
export type BothSites = () => ContractSites;

export interface ContractSite {
  readonly siteId: SiteId;
  readonly engine: Engine;
  /** Another engine over the same records, as after a restart of the control process. */
  restartControl(): Promise<void>;
  /** The group's data plane ends as in a power cut. */
  killDataPlane(groupId: GroupId): Promise<void>;
  /** The same of a copy's. */
  killCopy(groupId: GroupId, copyId: CopyId): Promise<void>;
  /** Writes where the other site has opened something to this one, past every mirror and send. */
  writeThere(
    target: ReceivingTarget,
    volumeId: VolumeId,
    offset: number,
    data: Buffer,
  ): Promise<void>;
  /** Attaches as that host, with a certificate of this site. */
  attach(
    served: Pick<ServedGroup, 'host' | 'port'>,
    exportName: string,
    hostName: string,
  ): Promise<HostVolume>;
}

export interface HostVolume {
  readonly info: { readonly sizeBytes: number };
  /** Settles when the connection is gone. */
  readonly ended: Promise<void>;
  read(offset: number, lengthBytes: number): Promise<Buffer>;
  write(offset: number, data: Buffer): Promise<void>;
  flush(): Promise<void>;
  disconnect(): Promise<void>;
}
