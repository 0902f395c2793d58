/** Remote systems: the sites that this one is paired with, and those that volumes come in from. */
import type { SourceView } from '../../app/import-views.ts';
import type { PeerView } from '../../app/views.ts';
import type { SiteId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { LinkState } from '../../domain/site.ts';
import { PowerStoreError } from './errors.ts';
import { globalIdOf, nameIn } from './ids.ts';
import { IMPORT_CAPABILITIES, RemoteSystem, sayEndpoint, sourceIn } from './import-source.ts';
import type { RemoteSystemWanted } from './import-source.ts';
import { asToken, dataConnectionState } from './l10n.ts';
import { needId } from './references.ts';
import { resourceType } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Asked, Resource } from './routes.ts';
import { Flag, body } from './schemas.ts';
import { RELEASE } from './software-installed.ts';
import { cataloguedGroups, cataloguedVolumes, discover } from './source-catalogue.ts';
import type { CataloguedGroup, CataloguedVolume } from './source-catalogue.ts';
import { refuseUnkept } from './volume.ts';
import type { World } from './world.ts';

/** The link to the other site in the vendor's words. */
export const connectionStates: { readonly [S in LinkState['state']]: string } = {
  up: 'OK',
  down: 'Complete_Data_Connection_Loss',
  unknown: 'Status_Not_Available',
};

const CAPABILITIES = ['Asynchronous_Block_Replication'];

const remoteSystemType = resourceType({
  name: 'remote_system',
  attributes: [
    'id',
    'name',
    'description',
    'serial_number',
    'version',
    'management_address',
    'management_port',
    'type',
    'user_name',
    'state',
    'data_connection_type',
    'data_connection_state',
    'iscsi_addresses',
    'fc_target_wwns',
    'discovery_chap_mode',
    'session_chap_mode',
    'data_network_latency',
    'data_connections',
    'capabilities',
    'file_connection_address',
    'file_connection_state',
    'vnx_file_username',
    'appliance_details',
  ],
  texts: {
    type: asToken,
    state: asToken,
    data_connection_type: asToken,
    data_connection_state: dataConnectionState,
    file_connection_state: asToken,
    discovery_chap_mode: asToken,
    session_chap_mode: asToken,
    data_network_latency: asToken,
    capabilities: asToken,
  },
  links: {
    replication_rules: 'replication_rule',
    replication_sessions: 'replication_session',
    import_sessions: 'import_session',
    import_universal_volumes: 'import_universal_volume',
    import_universal_consistency_group: 'import_universal_consistency_group',
  },
  none: [
    'snapshot_rules',
    'storage_container_destinations',
    'remote_snapshot_sessions',
    'remote_snapshots',
  ],
  rows: async (world) => {
    const peers = await Promise.all((await world.peers()).map((peer) => sayPeer(world, peer)));
    const sources = await Promise.all(
      (await world.sources()).map((source) => saySource(world, source)),
    );
    return [...peers, ...sources];
  },
});

/** What neither kind of system has here. */
const without = {
  description: '',
  fc_target_wwns: [],
  discovery_chap_mode: 'Disabled',
  data_network_latency: 'Low',
  data_connections: [],
  file_connection_address: null,
  file_connection_state: null,
  vnx_file_username: null,
  appliance_details: [],
};

async function sayPeer({ rules, sessions }: World, { id, name, host, port, link }: PeerView) {
  return {
    attributes: {
      ...without,
      id,
      name,
      serial_number: globalIdOf(id),
      version: RELEASE,
      management_address: host,
      management_port: port,
      type: 'PowerStore',
      user_name: '',
      state: link?.state === 'down' ? 'Management_Connection_Lost' : 'OK',
      data_connection_type: 'TCP',
      data_connection_state: connectionStates[link?.state ?? 'unknown'],
      iscsi_addresses: [],
      session_chap_mode: 'Disabled',
      capabilities: CAPABILITIES,
    },
    links: {
      replication_rules: (await rules()).filter((r) => r.peerId === id).map((r) => r.id),
      replication_sessions: (await sessions()).filter((s) => s.peerId === id).map((s) => s.id),
      import_sessions: [],
      import_universal_volumes: [],
      import_universal_consistency_group: [],
    },
  };
}

async function saySource(world: World, source: SourceView) {
  const { id, name, reachable } = source;
  const imports = (await world.imports()).filter(({ sourceId }) => sourceId === id);
  const ofIt = (of: CataloguedVolume | CataloguedGroup): boolean => of.source.id === id;
  return {
    attributes: {
      ...without,
      ...sayEndpoint(source),
      id,
      name,
      serial_number: null,
      version: null,
      type: 'Universal',
      state: reachable ? 'OK' : 'Management_Connection_Lost',
      data_connection_state: connectionStates[reachable ? 'up' : 'down'],
      capabilities: IMPORT_CAPABILITIES,
    },
    links: {
      replication_rules: [],
      replication_sessions: [],
      import_sessions: imports.map((session) => session.id),
      import_universal_volumes: (await cataloguedVolumes(world)).filter(ofIt).map((v) => v.id),
      import_universal_consistency_group: (await cataloguedGroups(world))
        .filter(ofIt)
        .map((g) => g.id),
    },
  };
}

const create = operation({
  needs: 'administer',
  schema: RemoteSystem,
  run: async (asked, wanted) => {
    if (wanted.type === 'PowerStore') return { answer: { id: await pairedAt(asked, wanted) } };
    const { id } = await asked.app.addSource(sourceIn(wanted));
    return { answer: { id } };
  },
});

/** The two know each other since they exchanged certificates; this is asked of either, or of both. */
async function pairedAt(
  { world }: Asked,
  { management_address: address, data_network_latency: latency, ...wanted }: RemoteSystemWanted,
): Promise<SiteId> {
  for (const [name, value] of Object.entries({
    management_address: address,
    data_network_latency: latency,
  })) {
    if (value !== undefined) continue;
    throw new PowerStoreError('invalid_body', `The property [${name}] is required.`, name);
  }
  refuseUnkept('description', wanted.description, '');
  refuseUnkept('data_network_latency', latency, 'Low');
  const peer = (await world.peers()).find(({ host }) => host === address);
  if (peer === undefined) {
    const sentence = `No certificates have been exchanged with ${address}: POST x509_certificate/exchange comes first.`;
    throw new PowerStoreError('remote_system_failed', sentence, address ?? '');
  }
  refuseUnkept('name', wanted.name, peer.name);
  return peer.id;
}

const remove = operation({
  needs: 'administer',
  schema: body({}),
  run: async (asked) => {
    const { app } = asked;
    const source = await sourceNamed(asked);
    if (source !== undefined) await app.removeSource({ sourceId: source.id });
    else await app.removePeer({ peerId: await peerNamed(asked) });
    return {};
  },
});

const verify = operation({
  needs: 'storage',
  schema: body({ update_transport: Flag }),
  run: async (asked) => {
    const { app } = asked;
    const source = await sourceNamed(asked);
    if (source === undefined) {
      await app.testPeer({ peerId: await peerNamed(asked) });
      return {};
    }
    const { trouble } = await app.checkSource({ sourceId: source.id });
    if (trouble !== undefined) {
      throw new PowerStoreError('remote_system_failed', `${trouble}.`, source.id);
    }
    return {};
  },
});

const discoverVolumes = operation({
  needs: 'storage',
  schema: body({}),
  run: async (asked) => {
    const source = await sourceNamed(asked);
    if (source === undefined) {
      await peerNamed(asked);
      const what = 'discovering the volumes of a paired system';
      refuse({ code: 'unsupported', what, why: 'they come by replication, not by an import' });
    }
    await discover(asked.app, source);
    return {};
  },
});

/** Undefined where the path names no source. */
async function sourceNamed({ world, reference }: Asked): Promise<SourceView | undefined> {
  const name = nameIn(reference);
  const isIt = (one: SourceView): boolean =>
    name === undefined ? one.id === reference.toLowerCase() : one.name === name;
  return (await world.sources()).find(isIt);
}

/** @throws PowerStoreError 404 */
function peerNamed({ world, reference }: Asked): Promise<SiteId> {
  return needId<SiteId>(world, 'remote_system', reference);
}

export const remoteSystem: Resource = {
  type: remoteSystemType,
  create,
  remove,
  actions: { verify, discover: discoverVolumes },
};
