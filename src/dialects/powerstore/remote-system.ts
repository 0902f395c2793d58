/** Remote systems: the sites that this one is paired with. */
import type { SiteId } from '../../domain/ids.ts';
import type { LinkState } from '../../domain/site.ts';
import { globalIdOf } from './ids.ts';
import { asToken, dataConnectionState } from './l10n.ts';
import { needId } from './references.ts';
import { resourceType } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Resource } from './routes.ts';
import { Flag, body } from './schemas.ts';
import { RELEASE } from './software-installed.ts';

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
  links: { replication_rules: 'replication_rule', replication_sessions: 'replication_session' },
  none: [
    'import_sessions',
    'snapshot_rules',
    'storage_container_destinations',
    'remote_snapshot_sessions',
    'remote_snapshots',
    'import_universal_volumes',
    'import_universal_consistency_group',
  ],
  rows: async ({ peers, rules, sessions }) => {
    const [allRules, allSessions] = [await rules(), await sessions()];
    return (await peers()).map(({ id, name, host, port, link }) => ({
      attributes: {
        id,
        name,
        description: '',
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
        fc_target_wwns: [],
        discovery_chap_mode: 'Disabled',
        session_chap_mode: 'Disabled',
        data_network_latency: 'Low',
        data_connections: [],
        capabilities: CAPABILITIES,
        file_connection_address: null,
        file_connection_state: null,
        vnx_file_username: null,
        appliance_details: [],
      },
      links: {
        replication_rules: allRules.filter((r) => r.peerId === id).map((r) => r.id),
        replication_sessions: allSessions.filter((s) => s.peerId === id).map((s) => s.id),
      },
    }));
  },
});

const remove = operation({
  needs: 'administer',
  schema: body({}),
  run: async ({ app, world, reference }) => {
    await app.removePeer({ peerId: await needId<SiteId>(world, 'remote_system', reference) });
    return {};
  },
});

const verify = operation({
  needs: 'storage',
  schema: body({ update_transport: Flag }),
  run: async ({ world, reference }) => {
    await needId<SiteId>(world, 'remote_system', reference);
    return {};
  },
});

export const remoteSystem: Resource = { type: remoteSystemType, remove, actions: { verify } };
