/** Replication partners: the sites that this one is paired with. */
import type { App } from '../../app/app.ts';
import { isPairingToken } from '../../app/pair-sites.ts';
import type { PeerView } from '../../app/views.ts';
import type { SiteId } from '../../domain/ids.ts';
import { Refusal, refuse } from '../../domain/refusal.ts';
import type { ReplicationSession } from '../../domain/replication-session.ts';
import { isPaused } from '../../domain/replication-session.ts';
import { NimbleError } from './errors.ts';
import { fromWire, toWire } from './ids.ts';
import type { Json, Row } from './lists.ts';
import { operation } from './object-sets.ts';
import type { ObjectSet } from './object-sets.ts';
import { Type } from 'typebox';
import { Fixed, ObjectId, data, orNull, refuseOthers, seconds } from './schemas.ts';

const constants = {
  description: '',
  partner_type: 'group',
  control_port: 4213,
  data_port: 4214,
  proxy_hostname: '',
  proxy_user: '',
  cfg_sync_status: 'N/A',
  last_sync_error: '',
  version: 1,
  pool_name: '',
  pool_id: '',
  folder_id: '',
  folder_name: '',
  match_folder: false,
  unique_name: false,
  subnet_label: 'mgmt-data',
  subnet_type: 'mgmt_data',
  subnet_network: '',
  subnet_netmask: '',
  throttles: null,
  throttled_bandwidth_current: -1,
  throttled_bandwidth_current_kbps: -1,
} as const satisfies Row;

const facts = [
  'id',
  'name',
  'full_name',
  'search_name',
  'alias',
  'hostname',
  'repl_hostname',
  'creation_time',
  'last_modified',
  'is_alive',
  'last_keepalive_error',
  'array_serial',
  'paused',
  'volume_collection_list',
  'volume_collection_list_count',
  'volume_list',
  'volume_list_count',
  'replication_direction',
] as const;

type PartnerRow = Readonly<Record<(typeof facts)[number], Json>> & Row;

async function sayPartner(app: App, peer: PeerView): Promise<PartnerRow> {
  const { id, name, host, link, pairedAt } = peer;
  const shared = (await app.listGroups()).filter(({ session }) => session?.peerId === id);
  const sessions = shared.flatMap(({ session }) => session ?? []);
  const volumes = shared.flatMap((group) => group.volumes);
  return {
    ...constants,
    id: toWire('replication_partner', id),
    name,
    full_name: name,
    search_name: name,
    alias: (await app.showSite()).name,
    hostname: host,
    repl_hostname: host,
    creation_time: seconds(pairedAt),
    last_modified: seconds(pairedAt),
    is_alive: link?.state === 'up',
    last_keepalive_error: link?.state === 'up' ? '' : (link?.detail ?? 'no answer yet'),
    array_serial: id,
    paused: sessions.length > 0 && sessions.every(isPaused),
    volume_collection_list: orNull(
      shared.map((group) => {
        const wire = toWire('volume_collection', group.id);
        return { id: wire, volcoll_id: wire, name: group.name, volcoll_name: group.name };
      }),
    ),
    volume_collection_list_count: shared.length,
    volume_list: orNull(
      volumes.map((volume) => {
        const wire = toWire('volume', volume.id);
        return { id: wire, vol_id: wire, name: volume.name, vol_name: volume.name };
      }),
    ),
    volume_list_count: volumes.length,
    replication_direction: directionOf(sessions),
  };
}

function directionOf(sessions: readonly ReplicationSession[]): string {
  const roles = new Set(sessions.map(({ role }) => role));
  if (roles.size === 2) return 'bi_directional';
  if (roles.has('source')) return 'downstream';
  return roles.has('destination') ? 'upstream' : 'none';
}

/** What the vendor's clients send for a partner, and what can only be so here. */
const made = {
  description: constants.description,
  control_port: constants.control_port,
  data_port: constants.data_port,
  subnet_label: constants.subnet_label,
  subnet_type: constants.subnet_type,
  pool_id: constants.pool_id,
  folder_id: constants.folder_id,
  match_folder: constants.match_folder,
};

/** Partners are made with the one-time token of the other group for their secret. */
const create = operation({
  needs: 'administer',
  schema: data({
    name: Type.String({ minLength: 1, maxLength: 63 }),
    hostname: Type.String({ minLength: 1, maxLength: 253 }),
    secret: Type.String({ minLength: 8, maxLength: 4096 }),
    subnet_label: Type.String({ minLength: 1, maxLength: 63 }),
    description: Fixed,
    repl_hostname: Fixed,
    control_port: Fixed,
    data_port: Fixed,
    subnet_type: Fixed,
    pool_id: Fixed,
    folder_id: Fixed,
    match_folder: Fixed,
    throttles: Type.Optional(Type.Array(Type.Object({}), { maxItems: 0 })),
  }),
  run: async ({ app }, { name, hostname, secret: token, ...wanted }) => {
    refuseOthers(wanted, { ...made, repl_hostname: hostname });
    const site = await app.showSite();
    if (name === site.name) {
      const detail = 'A group is no partner of its own.';
      throw new NimbleError('SM_einval', detail, { arg: 'name' });
    }
    if (!isPairingToken(token)) {
      const detail =
        "'secret' has to be the one-time token that `baton peer invite` prints at the other group: " +
        'a word that both are given does not say who answers there.';
      throw new NimbleError('SM_einval', detail, { arg: 'secret' });
    }
    const { id } = await app.joinPeer({ token, name, host: hostname });
    return sayPartner(app, await app.showPeer(id));
  },
});

const Itself = data({ id: Type.Optional(ObjectId) });

export const replicationPartners: ObjectSet = {
  name: 'replication_partners',
  attributes: [...facts, ...Object.keys(constants)],
  brief: ['id', 'name'],
  rows: async ({ app }) =>
    Promise.all((await app.listPeers()).map((peer) => sayPartner(app, peer))),
  create,
  remove: operation({
    needs: 'administer',
    schema: data({}),
    run: async ({ app, id }) => app.removePeer({ peerId: await partnerIn(app, id) }),
  }),
  actions: {
    test: operation({
      needs: 'view',
      schema: Itself,
      run: async ({ app, id }): Promise<undefined> => {
        const peerId = await partnerIn(app, id);
        try {
          await app.testPeer({ peerId });
        } catch (error) {
          const isSilent = error instanceof Refusal && error.reason.code === 'peer_unreachable';
          throw isSilent ? new NimbleError('SM_repl_cant_connect', error.message) : error;
        }
      },
    }),
    pause: operation({
      needs: 'recovery',
      schema: Itself,
      run: async ({ app, id, caller }): Promise<undefined> => {
        const sessions = await sessionsWith(app, await partnerIn(app, id));
        const by = caller?.name ?? 'nobody';
        const running = sessions.filter((session) => !isPaused(session));
        if (running.length === 0) throw new NimbleError('SM_ealready', 'Nothing is replicated.');
        for (const { id: sessionId } of running) await app.pauseSession({ sessionId, by });
      },
    }),
    resume: operation({
      needs: 'recovery',
      schema: Itself,
      run: async ({ app, id }): Promise<undefined> => {
        const sessions = await sessionsWith(app, await partnerIn(app, id));
        const paused = sessions.filter(isPaused);
        if (paused.length === 0) throw new NimbleError('SM_ealready', 'Nothing is paused.');
        for (const { id: sessionId } of paused) await app.resumeSession({ sessionId });
      },
    }),
  },
};

async function sessionsWith(app: App, peerId: SiteId) {
  return (await app.listSessions()).filter((session) => session.peerId === peerId);
}

/** @throws NimbleError `SM_einval` for this group itself; Refusal `not_found` */
export async function partnerIn(app: App, id: string): Promise<SiteId> {
  const siteId = fromWire<SiteId>('replication_partner', id)?.id;
  const site = await app.showSite();
  if (siteId === site.id || fromWire('group', id)?.id === site.id) {
    const detail = 'A group is no partner of its own.';
    throw new NimbleError('SM_einval', detail, { arg: 'replication_partner_id' });
  }
  const peer = (await app.listPeers()).find((p) => p.id === siteId);
  return peer?.id ?? refuse({ code: 'not_found', what: 'peer', id });
}
