/**
 * A daemon has one NBD server and one list of who may connect, so it serves hosts or receives from
 * the peer, never both. Which of the two shows in its credentials: they exist only while that
 * server may listen.
 *
 *   closed ── tls-hosts, authz-hosts ──▶ hosts          closed ── tls-peer, authz-peer ──▶ peer
 */
import type { QmpClient } from '../qmp/client.ts';
import { addObject, deleteObject, tolerating } from '../qmp/commands.ts';
import { QmpError } from '../qmp/errors.ts';
import { isFields, optionalText } from '../qmp/fields.ts';
import { queryObjects, queryObjectText } from '../qmp/queries.ts';
import type { Group } from './group.ts';
import type { GroupRecord } from './record.ts';

/** A client that does not finish its handshake holds a slot no longer. */
const HANDSHAKE_LIMIT_SECONDS = 10;
const STOP_LIMIT_MS = 10_000;

export type Audience = 'hosts' | 'peer';

export interface ServerRole {
  readonly audience: Audience;
  readonly tlsDirectory: string;
  /** Distinguished names of those who may connect. */
  readonly admitted: readonly string[];
}

/**
 * Makes the daemon's server this one. Connections of another audience are closed; those of the same
 * stay, whether still admitted or not.
 *
 * @returns the record, which names the port
 */
export async function openServer(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
  { audience, tlsDirectory, admitted }: ServerRole,
): Promise<GroupRecord> {
  const objects = await queryObjects(qmp);
  const wanted = objectsOf(audience);
  const other = objectsOf(audience === 'hosts' ? 'peer' : 'hosts');
  const hasOther = objects.includes(other.credentials) || objects.includes(other.list);
  const hasOwn =
    objects.includes(wanted.credentials) &&
    (await queryObjectText(qmp, wanted.credentials, 'dir')) === tlsDirectory;
  if (hasOther || (!hasOwn && objects.includes(wanted.credentials))) await closeServer(qmp);

  const rules = admitted.map((match) => ({ match, policy: 'allow', format: 'exact' }));
  if (objects.includes(wanted.list) && !hasOther && hasOwn) {
    await qmp.execute('qom-set', {
      path: `/objects/${wanted.list}`,
      property: 'rules',
      value: rules,
    });
  } else {
    await deleteObject(qmp, wanted.list);
    await addObject(qmp, 'authz-list', wanted.list, { policy: 'deny', rules });
  }
  if (!hasOwn || hasOther) {
    const isPeer = audience === 'peer';
    await addObject(qmp, 'tls-creds-x509', wanted.credentials, {
      dir: tlsDirectory,
      endpoint: 'server',
      'verify-peer': true,
      // There the authority is the peer's, which did not issue the certificate beside it.
      'sanity-check': !isPeer,
    });
  }
  return listen(group, qmp, record, audience);
}

/** On return nobody is connected, and nobody can connect. */
export async function closeServer(qmp: QmpClient): Promise<void> {
  await tolerating(/not running/, () => qmp.execute('nbd-server-stop', {}, STOP_LIMIT_MS));
  for (const audience of ['hosts', 'peer'] as const) {
    const { credentials, list } = objectsOf(audience);
    await Promise.all([deleteObject(qmp, credentials), deleteObject(qmp, list)]);
  }
}

/** Who may connect now; undefined while there is no server for them. */
export async function admittedNow(
  qmp: QmpClient,
  audience: Audience,
): Promise<readonly string[] | undefined> {
  const { list } = objectsOf(audience);
  if (!(await queryObjects(qmp)).includes(list)) return undefined;
  const rules = await qmp.execute('qom-get', { path: `/objects/${list}`, property: 'rules' });
  if (!Array.isArray(rules)) return [];
  return rules.filter(isFields).flatMap((rule) => optionalText(rule, 'match') ?? []);
}

async function listen(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
  audience: Audience,
): Promise<GroupRecord> {
  const { credentials, list } = objectsOf(audience);
  const busy = new Set<number>();
  let current = record;
  for (;;) {
    const port = current.port ?? (await group.site.ports.take(group.id, busy));
    // Recorded first: no other group is given a port that this one listens on.
    if (current.port === undefined) current = await group.save({ ...current, port });
    const server = {
      addr: { type: 'inet', data: { host: group.site.options.address, port: `${port}` } },
      'tls-creds': credentials,
      'tls-authz': list,
      'max-connections': 0,
    };
    try {
      await startListening(qmp, server);
      return current;
    } catch (cause) {
      if (!(cause instanceof QmpError) || !/in use/i.test(cause.description)) throw cause;
      busy.add(port);
      group.site.options.log?.warn({ event: 'port_in_use', groupId: group.id, port });
      await group.site.ports.give(group.id);
      current = { ...current, port: undefined };
    }
  }
}

async function startListening(qmp: QmpClient, server: object): Promise<void> {
  const limited = { ...server, 'handshake-max-seconds': HANDSHAKE_LIMIT_SECONDS };
  const start = (options: object): Promise<boolean> =>
    tolerating(/already running/, () => qmp.execute('nbd-server-start', { ...options }));
  try {
    await start(limited);
  } catch (cause) {
    // QEMU before 10.0 knows no such limit.
    if (!(cause instanceof QmpError) || !cause.description.includes('handshake-max-seconds'))
      throw cause;
    await start(server);
  }
}

function objectsOf(audience: Audience): { readonly credentials: string; readonly list: string } {
  return { credentials: `tls-${audience}`, list: `authz-${audience}` };
}
