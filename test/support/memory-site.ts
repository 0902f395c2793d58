/** Whole sites in one process: real store, runner and use cases over memory engines. */
import type { TestContext } from 'node:test';
import { createApp } from '../../src/app/app.ts';
import type { App } from '../../src/app/app.ts';
import type { AppPorts } from '../../src/app/app-ports.ts';
import { AttachedHosts } from '../../src/app/attached-hosts.ts';
import { acceptIntroduction } from '../../src/app/pair-sites.ts';
import { createAuthority, issueHostCertificate } from '../../src/certificates/authority.ts';
import type { Credential } from '../../src/certificates/authority.ts';
import { fingerprint } from '../../src/certificates/identity.ts';
import { newId } from '../../src/domain/ids.ts';
import type { SagaId, SiteId } from '../../src/domain/ids.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import type { SagaRecord } from '../../src/domain/saga-record.ts';
import type { Log, LogLine } from '../../src/ports/log.ts';
import type { Introduction, Pairing } from '../../src/ports/pairing.ts';
import { allSagas } from '../../src/sagas/all.ts';
import { GroupGate } from '../../src/sagas/group-gate.ts';
import { SagaRunner } from '../../src/sagas/runner.ts';
import type { SagaDefinition } from '../../src/sagas/saga.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { siteVault } from '../../src/secrets/site-vault.ts';
import { memoryDrillTools } from './memory-drill-tools.ts';
import { MemoryEngine } from './memory-engine.ts';
import { MemoryImporter, MemorySource } from './memory-importer.ts';
import { MemoryNetwork } from './memory-network.ts';
import { memoryPeer, noTrouble } from './memory-peer.ts';
import type { PeerTrouble } from './memory-peer.ts';
import { TestClock } from './test-clock.ts';

export interface MemorySite {
  readonly id: SiteId;
  readonly name: string;
  readonly ports: AppPorts;
  readonly app: App;
  readonly engine: MemoryEngine;
  readonly importer: MemoryImporter;
  /** What volumes can be brought in from, as host `old-array` of kind nbd. */
  readonly source: MemorySource;
  readonly authority: Credential;
  /** Of the messages that this site sends. */
  readonly trouble: PeerTrouble;
  readonly logged: LogLine[];
  /** As after a crash of the control process: another runner on the same store and engine. */
  readonly restart: () => Promise<void>;
  /** The job's record once it has ended. */
  readonly ended: (jobId: SagaId) => Promise<SagaRecord>;
}

export interface MemoryWorld {
  readonly clock: TestClock;
  readonly network: MemoryNetwork;
  readonly addSite: (name: string, options?: SiteOptions) => Promise<MemorySite>;
  readonly close: () => Promise<void>;
}

export interface SiteOptions {
  readonly sagas?: readonly SagaDefinition[];
  readonly totalBytes?: number;
}

/** A place for sites that can reach each other. It is closed when the test has ended. */
export function memoryWorld(t: Pick<TestContext, 'after'>): MemoryWorld {
  const clock = new TestClock();
  const network = new MemoryNetwork();
  const sites: MemorySite[] = [];
  const closing: (() => Promise<void>)[] = [];
  const find = (id: SiteId): AppPorts | undefined => sites.find((s) => s.id === id)?.ports;
  const close = async (): Promise<void> => {
    for (const end of closing.splice(0)) await end();
  };
  t.after(close);

  const addSite: MemoryWorld['addSite'] = async (name, { sagas = allSagas, totalBytes } = {}) => {
    const id = newId<SiteId>();
    const host = `127.0.0.${sites.length + 1}`;
    const store = openSqliteStore(':memory:', clock);
    const engine = new MemoryEngine({
      siteId: id,
      host,
      network,
      clock,
      ...(totalBytes !== undefined && { totalBytes }),
    });
    const source = new MemorySource();
    const importer = new MemoryImporter(engine, new Map([['old-array', source]]));
    const authority = await authorityOf(name);
    const trouble = noTrouble();
    const logged: LogLine[] = [];
    const log = collectingLog(logged);
    const peer = memoryPeer(id, find, trouble);
    const gate = new GroupGate();
    const drillTools = memoryDrillTools(authority, id);
    const sagaPorts = { here: id, engine, peer, store, clock, gate, importer, drillTools };
    let runner = new SagaRunner(sagaPorts, sagas, log);
    const introduction = {
      siteId: id,
      name,
      host,
      port: 8444,
      authorityPem: authority.certificate,
    };
    const ports: AppPorts = {
      ...sagaPorts,
      stallBound: { possible: true, why: 'nothing in memory is silent' },
      vault: siteVault(Buffer.alloc(32, 7)),
      log,
      pairing: memoryPairing(introduction, sites),
      attached: new AttachedHosts(clock, log),
      hostConnections: { addresses: () => Promise.resolve([]) },
      nativeUrl: `https://${host}:8443/api/v1`,
      certificates: {
        issue: async (hostName) => {
          const { certificate, privateKey } = await issueHostCertificate(authority, { hostName });
          return {
            'ca-cert.pem': authority.certificate,
            'client-cert.pem': certificate,
            'client-key.pem': privateKey,
          };
        },
      },
      sagas: {
        ended: (sagaId) => runner.ended(sagaId),
        abort: (sagaId, by) => runner.abort(sagaId, by),
      },
    };
    await store.transaction((tx) => tx.site.insert({ id, name }));
    await runner.start();
    closing.push(async () => {
      await runner.stop();
      await store.close();
    });
    const site: MemorySite = {
      id,
      name,
      ports,
      app: createApp(ports),
      engine,
      importer,
      source,
      authority,
      trouble,
      logged,
      restart: async () => {
        await runner.stop();
        runner = new SagaRunner(sagaPorts, sagas, log);
        await runner.start();
      },
      ended: (jobId) => runner.ended(jobId),
    };
    sites.push(site);
    return site;
  };
  return { clock, network, addSite, close };
}

const authorities = new Map<string, Promise<Credential>>();

/** Sites come and go by the hundred; one authority for each name is enough. */
function authorityOf(siteName: string): Promise<Credential> {
  const known = authorities.get(siteName) ?? createAuthority({ siteId: newId(), siteName });
  authorities.set(siteName, known);
  return known;
}

export interface MemoryPair extends MemoryWorld {
  readonly paris: MemorySite;
  readonly lyon: MemorySite;
}

/** Two sites that are paired. */
export async function memoryPair(
  t: Pick<TestContext, 'after'>,
  options?: SiteOptions,
): Promise<MemoryPair> {
  const world = memoryWorld(t);
  const paris = await world.addSite('paris', options);
  const lyon = await world.addSite('lyon', options);
  const { token } = await lyon.app.invitePeer();
  await paris.app.joinPeer({ token });
  return { ...world, paris, lyon };
}

function memoryPairing(introduction: Introduction, sites: readonly MemorySite[]): Pairing {
  return {
    introduction: () => introduction,
    authorityFingerprint: () => fingerprint(introduction.authorityPem),
    introduce: async ({ host, port, authorityFingerprint, secret }, self) => {
      const other = sites.find(({ ports }) => {
        const there = ports.pairing.introduction();
        return there.host === host && there.port === port;
      });
      if (other === undefined) {
        throw new Refusal({
          code: 'peer_unreachable',
          siteId: newId<SiteId>(),
          detail: `${host}:${port} refused the connection`,
        });
      }
      if (other.ports.pairing.authorityFingerprint() !== authorityFingerprint) {
        throw new Refusal({ code: 'peer_untrusted', detail: 'another authority answers there' });
      }
      return acceptIntroduction(other.ports, { secret, introduction: self });
    },
    trust: () => Promise.resolve(),
    distrust: () => Promise.resolve(),
  };
}

function collectingLog(lines: LogLine[]): Log {
  const keep = (line: LogLine): void => void lines.push(line);
  return { info: keep, warn: keep, error: keep };
}
