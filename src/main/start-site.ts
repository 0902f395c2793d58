/** Puts a site together: picks the adapters, wires them, lets it listen and decide. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AppPorts } from '../app/app-ports.ts';
import { AttachedHosts } from '../app/attached-hosts.ts';
import { applyLinkLimits } from '../app/limit-link.ts';
import type { DataPlanes } from '../app/meet-peer.ts';
import { createUser } from '../app/sign-in.ts';
import { hostDistinguishedName, siteDistinguishedName } from '../certificates/identity.ts';
import { newId } from '../domain/ids.ts';
import type { Site } from '../domain/site.ts';
import type { SiteId } from '../domain/ids.ts';
import { hostConnections } from '../engines/host-connections.ts';
import { linkCut } from '../engines/link-cut.ts';
import { qcow2Engine } from '../engines/qcow2/engine.ts';
import { pairing } from '../peer/pairing.ts';
import { peerClient } from '../peer/v1/client.ts';
import { drillTools } from './drill-tools.ts';
import type { Engine } from '../ports/engine.ts';
import type { Importer } from '../ports/importer.ts';
import type { Vault } from '../ports/vault.ts';
import type { Log } from '../ports/log.ts';
import type { Store } from '../ports/store.ts';
import { importWatch } from '../reconcilers/import-watch.ts';
import { FirstWords } from '../reconcilers/first-words.ts';
import { housekeeping } from '../reconcilers/housekeeping.ts';
import { terms } from '../reconcilers/terms.ts';
import { linkWatch } from '../reconcilers/link-watch.ts';
import { mirrorWatch } from '../reconcilers/mirror-watch.ts';
import { policies } from '../reconcilers/policies.ts';
import { retention } from '../reconcilers/retention.ts';
import { scheduler } from '../reconcilers/scheduler.ts';
import { supervisor } from '../reconcilers/supervisor.ts';
import { allSagas } from '../sagas/all.ts';
import { GroupGate } from '../sagas/group-gate.ts';
import { SagaRunner } from '../sagas/runner.ts';
import { keepSiteKey } from '../secrets/site-key.ts';
import { siteVault } from '../secrets/site-vault.ts';
import { openSqliteStore } from '../store/sqlite/store.ts';
import type { SiteConfig } from './config.ts';
import { listen } from './listen.ts';
import { dialectUrls } from './listeners.ts';
import { certificateWatch } from './certificate-watch.ts';
import { siteIdentity } from './site-identity.ts';
import type { SiteIdentity } from './site-identity.ts';
import { systemClock } from './system-clock.ts';

/** In the data directory: the server that has it. Stale after a kill; see /proc for whose it is. */
export const PID_FILE = 'serve.pid';

export interface RunningSite {
  readonly site: Site;
  readonly authorityFile: string;
  /** The administrator's password when this start made one. */
  readonly firstPassword: string | undefined;
  /** Stops answering and deciding. Data planes go on serving hosts. */
  stop(): Promise<void>;
}

export interface SiteParts {
  readonly store: Store;
  readonly engine: Engine;
  readonly importer: Importer;
  readonly vault: Vault;
  readonly site: Site;
  readonly identity: SiteIdentity;
  readonly close: () => Promise<void>;
}

/** The parts that hold a site's state, without anything that listens or decides. */
export async function openSite(config: SiteConfig, log: Log): Promise<SiteParts> {
  const { dataDirectory, address, ports, name } = config;
  await mkdir(dataDirectory, { recursive: true, mode: 0o700 });
  await chmod(dataDirectory, 0o700);
  const volumes = join(dataDirectory, 'volumes');
  await mkdir(volumes, { recursive: true, mode: 0o700 });
  const store = openSqliteStore(join(dataDirectory, 'site.sqlite'), systemClock);
  const site = await keepSite(store, name);
  const peers = await store.read((tx) => tx.peers.all());
  const identity = await siteIdentity(dataDirectory, site, address, peers);
  const vault = siteVault(await keepSiteKey(join(dataDirectory, 'secrets', 'site.key')));
  const { importer, ...engine } = qcow2Engine({
    dataDirectory: volumes,
    runDirectory: join(dataDirectory, 'run'),
    address,
    ports: ports.groups,
    records: store.engineRecords,
    clock: systemClock,
    linkCut,
    log,
    vault,
    tls: {
      siteDirectory: identity.siteDirectory,
      peerDirectory: identity.peerDirectory,
      tlsName: site.id,
      hostDistinguishedName,
      peerDistinguishedName: siteDistinguishedName,
    },
  });
  const close = async (): Promise<void> => {
    await engine.close();
    await store.close();
  };
  return { store, engine, importer, vault, site, identity, close };
}

/**
 * Starts a site and returns when it answers.
 *
 * @param adminPassword the first administrator's; absent: one is made
 */
export async function startSite(
  config: SiteConfig,
  log: Log,
  adminPassword?: string,
): Promise<RunningSite> {
  const parts = await openSite(config, log);
  await writeFile(join(config.dataDirectory, PID_FILE), `${process.pid}\n`);
  const { store, engine, importer, vault, site, identity } = parts;
  const here = site.id;
  const credentials = { certificateChain: identity.chainPem, privateKey: identity.leaf.privateKey };
  const peer = peerClient({ store, here }, () => credentials);
  const gate = new GroupGate();
  const sagaPorts = {
    here,
    engine,
    importer,
    peer,
    store,
    clock: systemClock,
    gate,
    drillTools: drillTools(config, identity),
  };
  const sagas = new SagaRunner(sagaPorts, allSagas, log);
  const cut = await linkCut.probe();
  log.info({ event: 'link_cut_probed', ...cut });
  const ports: AppPorts = {
    ...sagaPorts,
    stallBound: cut,
    vault,
    sagas,
    log,
    certificates: identity.hostCertificates,
    attached: new AttachedHosts(systemClock, log),
    hostConnections,
    nativeUrl: dialectUrls(config).native,
    pairing: pairing({
      introduction: {
        siteId: here,
        name: site.name,
        host: config.address,
        port: config.ports.peer,
        authorityPem: identity.authorityPem,
      },
      trust: identity.trust,
      distrust: identity.distrust,
    }),
  };
  const firstPassword = await keepAdministrator(ports, adminPassword);

  const firstWords = new FirstWords();
  const watch = supervisor(ports, firstWords);
  const mirrors = mirrorWatch(ports, cut.possible ? linkCut : undefined);
  const dataPlanes: DataPlanes = async (groupId) => ({
    ...(await watch.dataPlanes(groupId)),
    level: mirrors.level(groupId),
  });
  const listeners = await listen(config, identity, ports, dataPlanes);
  await applyLinkLimits(ports);
  await sagas.start();
  const loops = [
    watch,
    mirrors,
    linkWatch(ports, {
      dataPlanes,
      firstWords,
      onAnswer: (peerId, answer) => mirrors.hear(peerId, answer),
      linkCut: cut.possible ? linkCut : undefined,
      endCalls: (peerId) => peer.endCalls(peerId),
    }),
    scheduler(ports),
    policies(ports),
    retention(ports),
    housekeeping(ports),
    certificateWatch(ports, identity.leaf.certificate),
    importWatch(ports),
    terms(ports),
  ];
  const space = await engine.space();
  log.info({
    event: 'site_started',
    ...space,
    siteId: here,
    name: site.name,
    address: config.address,
  });

  return {
    site,
    authorityFile: identity.authorityFile,
    firstPassword,
    stop: async () => {
      await listeners.close();
      peer.close();
      await Promise.all(loops.map((l) => l.stop()));
      await sagas.stop();
      await parts.close();
      log.info({ event: 'site_stopped', siteId: here });
    },
  };
}

/** The site's name may change with its configuration, its id never. */
function keepSite(store: Store, name: string): Promise<Site> {
  return store.transaction(async (tx) => {
    const [site] = await tx.site.all();
    if (site === undefined) return tx.site.insert({ id: newId<SiteId>(), name });
    return tx.site.change(site.id, (s) => ({ ...s, name }));
  });
}

async function keepAdministrator(
  ports: AppPorts,
  adminPassword: string | undefined,
): Promise<string | undefined> {
  const users = await ports.store.read((tx) => tx.users.all());
  if (users.length > 0) return undefined;
  const password = adminPassword ?? randomBytes(12).toString('base64url');
  await createUser(ports, { name: 'admin', password, role: 'administrator' });
  return adminPassword === undefined ? password : undefined;
}
