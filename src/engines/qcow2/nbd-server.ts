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
import type { CopyId, GroupId } from '../../domain/ids.ts';
import type { QmpClient } from '../qmp/client.ts';
import { addObject, deleteObject, tolerating } from '../qmp/commands.ts';
import { QmpError } from '../qmp/errors.ts';
import { isFields, optionalText } from '../qmp/fields.ts';
import { queryObjects } from '../qmp/queries.ts';
import type { Site } from './group.ts';

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

/** The port of a daemon's server: kept durably, so that it is the same after every restart. */
export interface ServerPort {
  readonly site: Site;
  readonly owner: { readonly groupId: GroupId; readonly copyId?: CopyId };
  readonly current: () => Promise<number | undefined>;
  readonly keep: (port: number) => Promise<void>;
}

/**
 * Makes the daemon's server this one. Connections of another audience are closed; those of the same
 * stay, whether still admitted or not.
 *
 * @returns the port
 */
export async function openServer(
  at: ServerPort,
  qmp: QmpClient,
  role: ServerRole,
): Promise<number> {
  const { audience, tlsDirectory, admitted } = role;
  const list = listId(audience);
  const credentials = `${credentialsPrefix(audience)}${await fingerprint(tlsDirectory)}`;
  const objects = await queryObjects(qmp);
  const isOpen = objects.includes(credentials) && objects.includes(list);
  if (!isOpen && objects.some(isServerObject)) await closeServer(at, qmp);
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
  return listen(at, qmp, { 'tls-creds': credentials, 'tls-authz': list });
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
export async function closeServer(at: ServerPort, qmp: QmpClient): Promise<void> {
  const objects = (await queryObjects(qmp)).filter(isServerObject);
  const lists = objects.filter((id) => id.startsWith(LIST_PREFIX));
  await Promise.all(lists.map((id) => deleteObject(qmp, id)));
  if (objects.length > 0) await turnEverybodyOut(at);
  await tolerating(/not running/, () => qmp.execute('nbd-server-stop', {}, STOP_LIMIT_MS));
  await Promise.all(objects.map((id) => deleteObject(qmp, id)));
}

/** Where this machine cannot close connections, handshakes have a time limit and nobody else is left. */
async function turnEverybodyOut({ site, owner, current }: ServerPort): Promise<void> {
  const { address, clock, linkCut, log } = site.options;
  const port = await current();
  if (port === undefined) return;
  const giveUpAt = clock.monotonicMs() + HANDSHAKE_LIMIT_SECONDS * 1000 + STOP_LIMIT_MS;
  for (;;) {
    try {
      await linkCut.closeListener(address, port);
      return;
    } catch (cause) {
      const stillConnected = { ...owner, port, error: String(cause) };
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
  { site, owner, current, keep }: ServerPort,
  qmp: QmpClient,
  access: { readonly 'tls-creds': string; readonly 'tls-authz': string },
): Promise<number> {
  const { address, clock, log } = site.options;
  const holder = owner.copyId ?? owner.groupId;
  const busy = new Set<number>();
  let known = await current();
  for (;;) {
    const port = known ?? (await site.ports.take(holder, busy));
    // Recorded first: nobody else is given a port that this one listens on.
    if (known === undefined) await keep(port);
    const server = {
      addr: { type: 'inet', data: { host: address, port: `${port}` } },
      ...access,
      'max-connections': 0,
    };
    // A daemon that ended leaves its port some milliseconds later.
    const giveUpAt = clock.monotonicMs() + PORT_PATIENCE_MS;
    do {
      if (await startListening(qmp, server)) return port;
      await clock.sleep(PORT_POLL_MS);
    } while (clock.monotonicMs() < giveUpAt);
    busy.add(port);
    log?.warn({ event: 'port_in_use', ...owner, port });
    await site.ports.give(holder);
    known = undefined;
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
