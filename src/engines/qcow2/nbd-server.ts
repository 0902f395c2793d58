/**
 * A daemon has one NBD server and one list of who may connect, so it serves hosts or receives from
 * the peer, never both. Which of the two shows in its credentials: they exist only while that
 * server may listen.
 *
 *   closed ── tls-hosts-…, authz-hosts ──▶ hosts      closed ── tls-peer-…, authz-peer ──▶ peer
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { QmpClient } from '../qmp/client.ts';
import { addObject, deleteObject, tolerating } from '../qmp/commands.ts';
import { QmpError } from '../qmp/errors.ts';
import { isFields, optionalText } from '../qmp/fields.ts';
import { queryObjects } from '../qmp/queries.ts';
import type { Group } from './group.ts';
import type { GroupRecord } from './record.ts';

/** A client that does not finish its handshake holds a slot no longer. */
const HANDSHAKE_LIMIT_SECONDS = 10;
const STOP_LIMIT_MS = 10_000;
const LIST_PREFIX = 'authz-';
const FINGERPRINT_DIGITS = 12;
const PORT_PATIENCE_MS = 2_000;
const PORT_POLL_MS = 20;

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
  role: ServerRole,
): Promise<GroupRecord> {
  const { audience, tlsDirectory, admitted } = role;
  const list = listId(audience);
  const credentials = `${credentialsPrefix(audience)}${await fingerprint(tlsDirectory)}`;
  const objects = await queryObjects(qmp);
  const isOpen = objects.includes(credentials) && objects.includes(list);
  if (!isOpen && objects.some(isServerObject)) await closeServer(group, qmp);
  const rules = admitted.map((match) => ({ match, policy: 'allow', format: 'exact' }));
  if (isOpen) {
    await qmp.execute('qom-set', { path: `/objects/${list}`, property: 'rules', value: rules });
  } else {
    await addObject(qmp, 'authz-list', list, { policy: 'deny', rules });
    await addObject(qmp, 'tls-creds-x509', credentials, {
      dir: tlsDirectory,
      endpoint: 'server',
      'verify-peer': true,
      // For the peer the authority is its own, which did not issue the certificate beside it.
      'sanity-check': audience === 'hosts',
    });
  }
  return listen(group, qmp, record, { 'tls-creds': credentials, 'tls-authz': list });
}

/** Certificates that were renewed, or another authority, make another server. */
async function fingerprint(tlsDirectory: string): Promise<string> {
  const hash = createHash('sha256').update(tlsDirectory);
  for (const file of ['ca-cert.pem', 'server-cert.pem']) {
    hash.update(await readFile(join(tlsDirectory, file)));
  }
  return hash.digest('hex').slice(0, FINGERPRINT_DIGITS);
}

/**
 * On return nobody is connected, and nobody can connect.
 *
 *   no list: nobody is admitted ─ nobody is connected ─ stop ─ no credentials
 *
 * `nbd-server-stop` waits for clients that are in the middle of their TLS handshake without looking
 * at them, so it never returns, and nothing else in the daemon goes on (seen with QEMU 10.0).
 * Where a crash interrupts this, a list is missing: `openServer` begins anew.
 */
export async function closeServer(group: Group, qmp: QmpClient): Promise<void> {
  const objects = (await queryObjects(qmp)).filter(isServerObject);
  const lists = objects.filter((id) => id.startsWith(LIST_PREFIX));
  await Promise.all(lists.map((id) => deleteObject(qmp, id)));
  if (objects.length > 0) await turnEverybodyOut(group);
  await tolerating(/not running/, () => qmp.execute('nbd-server-stop', {}, STOP_LIMIT_MS));
  await Promise.all(objects.map((id) => deleteObject(qmp, id)));
}

/** Where this machine cannot close connections, handshakes have a time limit and nobody else is left. */
async function turnEverybodyOut(group: Group): Promise<void> {
  const { address, clock, linkCut, log } = group.site.options;
  const { port } = await group.record();
  if (port === undefined) return;
  const giveUpAt = clock.monotonicMs() + HANDSHAKE_LIMIT_SECONDS * 1000 + STOP_LIMIT_MS;
  for (;;) {
    try {
      await linkCut.closeListener(address, port);
      return;
    } catch (cause) {
      const stillConnected = { groupId: group.id, port, error: String(cause) };
      if (clock.monotonicMs() > giveUpAt) {
        log?.warn({ event: 'clients_not_closed', ...stillConnected });
        return;
      }
    }
  }
}

/** Who may connect now; undefined while there is no server for them. */
export async function admittedNow(
  qmp: QmpClient,
  audience: Audience,
): Promise<readonly string[] | undefined> {
  const list = listId(audience);
  if (!(await queryObjects(qmp)).includes(list)) return undefined;
  const rules = await qmp.execute('qom-get', { path: `/objects/${list}`, property: 'rules' });
  if (!Array.isArray(rules)) return [];
  return rules.filter(isFields).flatMap((rule) => optionalText(rule, 'match') ?? []);
}

async function listen(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
  access: { readonly 'tls-creds': string; readonly 'tls-authz': string },
): Promise<GroupRecord> {
  const { address, clock, log } = group.site.options;
  const busy = new Set<number>();
  let current = record;
  for (;;) {
    const port = current.port ?? (await group.site.ports.take(group.id, busy));
    // Recorded first: no other group is given a port that this one listens on.
    if (current.port === undefined) current = await group.save({ ...current, port });
    const server = {
      addr: { type: 'inet', data: { host: address, port: `${port}` } },
      ...access,
      'max-connections': 0,
    };
    // A daemon that ended leaves its port some milliseconds later.
    const giveUpAt = clock.monotonicMs() + PORT_PATIENCE_MS;
    do {
      if (await startListening(qmp, server)) return current;
      await clock.sleep(PORT_POLL_MS);
    } while (clock.monotonicMs() < giveUpAt);
    busy.add(port);
    log?.warn({ event: 'port_in_use', groupId: group.id, port });
    await group.site.ports.give(group.id);
    current = { ...current, port: undefined };
  }
}

/** @returns false when the port is in use */
async function startListening(qmp: QmpClient, server: object): Promise<boolean> {
  const limited = { ...server, 'handshake-max-seconds': HANDSHAKE_LIMIT_SECONDS };
  const start = (options: object): Promise<boolean> =>
    tolerating(/already running/, () => qmp.execute('nbd-server-start', { ...options }));
  try {
    // QEMU before 10.0 knows no such limit.
    const isKnown = await tolerating(/handshake-max-seconds/, () => start(limited));
    if (!isKnown) await start(server);
    return true;
  } catch (cause) {
    if (cause instanceof QmpError && /in use/i.test(cause.description)) return false;
    throw cause;
  }
}

function listId(audience: Audience): string {
  return `${LIST_PREFIX}${audience}`;
}

function credentialsPrefix(audience: Audience): string {
  return `tls-${audience}-`;
}

function isServerObject(id: string): boolean {
  return (['hosts', 'peer'] as const).some(
    (audience) => id === listId(audience) || id.startsWith(credentialsPrefix(audience)),
  );
}
