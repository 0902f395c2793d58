import type { SagaId, SiteId } from '../domain/ids.ts';
import type { SagaRecord } from '../domain/saga-record.ts';
import type { Clock } from '../ports/clock.ts';
import type { DrillTools } from '../ports/drill-tools.ts';
import type { Engine } from '../ports/engine.ts';
import type { Importer } from '../ports/importer.ts';
import type { HostConnections } from '../ports/host-connections.ts';
import type { HostCertificates } from '../ports/host-certificates.ts';
import type { LinkCutProbe } from '../ports/link-cut.ts';
import type { Log } from '../ports/log.ts';
import type { Pairing } from '../ports/pairing.ts';
import type { PeerProtocol } from '../ports/peer.ts';
import type { Store } from '../ports/store.ts';
import type { Vault } from '../ports/vault.ts';
import type { GroupGate } from '../sagas/group-gate.ts';
import type { AttachedHosts } from './attached-hosts.ts';

/** What the use cases reach the world through. */
export interface AppPorts {
  readonly here: SiteId;
  readonly store: Store;
  readonly engine: Engine;
  readonly importer: Importer;
  readonly vault: Vault;
  readonly peer: PeerProtocol;
  readonly pairing: Pairing;
  readonly certificates: HostCertificates;
  /** Where this site's native API is reached: `https://10.0.0.1:8443/api/v1`. */
  readonly nativeUrl: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly sagas: Sagas;
  readonly gate: GroupGate;
  readonly drillTools: DrillTools;
  /** Whether this machine can end what a silent link holds: what bounds a synchronous write. */
  readonly stallBound: LinkCutProbe;
  /** What hosts' agents said of themselves. */
  readonly attached: AttachedHosts;
  readonly hostConnections: HostConnections;
}

/** The runner, as far as use cases need it. */
export interface Sagas {
  /** The record once the saga has ended. */
  ended(sagaId: SagaId): Promise<SagaRecord>;
  /** @throws Refusal `past_point_of_no_return` */
  abort(sagaId: SagaId, by: string): Promise<void>;
}

/** A long request's answer: the saga to follow. */
export interface Job {
  readonly jobId: SagaId;
}
