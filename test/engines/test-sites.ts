/** Two sites with a qcow2 engine each, real daemons and real TLS, on two loopback addresses. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createAuthority,
  issueHostCertificate,
  issueSiteCertificate,
} from '../../src/certificates/authority.ts';
import type { Credential } from '../../src/certificates/authority.ts';
import { hostDistinguishedName, siteDistinguishedName } from '../../src/certificates/identity.ts';
import { writeTlsDirectory } from '../../src/certificates/tls-directory.ts';
import { newId } from '../../src/domain/ids.ts';
import type { GroupId, SiteId } from '../../src/domain/ids.ts';
import { linkCut } from '../../src/engines/link-cut.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import { qcow2Engine } from '../../src/engines/qcow2/engine.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import type { EngineRecords } from '../../src/ports/engine-records.ts';
import type { LogLine } from '../../src/ports/log.ts';
import type { ContractSite, ContractSites } from './contract-sites.ts';

const FIRST_PORT = 22_000;
const PORTS_EACH = 100;

/** Records that outlive an engine, as a database would. */
export class MemoryRecords implements EngineRecords {
  readonly documents = new Map<GroupId, string>();

  read(groupId: GroupId): Promise<unknown> {
    const document = this.documents.get(groupId);
    return Promise.resolve(document === undefined ? undefined : JSON.parse(document));
  }

  write(groupId: GroupId, document: unknown): Promise<void> {
    this.documents.set(groupId, JSON.stringify(document));
    return Promise.resolve();
  }

  remove(groupId: GroupId): Promise<void> {
    this.documents.delete(groupId);
    return Promise.resolve();
  }

  list(): Promise<readonly GroupId[]> {
    return Promise.resolve([...this.documents.keys()]);
  }
}

export interface TestSite extends ContractSite {
  readonly engine: ReturnType<typeof qcow2Engine>;
  attach(...at: Parameters<ContractSite['attach']>): Promise<NbdConnection>;
  readonly directory: string;
  readonly dataDirectory: string;
  readonly log: readonly LogLine[];
  readonly authority: Credential;
  readonly records: MemoryRecords;
  restartControl(records?: EngineRecords): Promise<void>;
}

export interface TestSites extends ContractSites {
  readonly a: TestSite;
  readonly b: TestSite;
  close(): Promise<void>;
}

export async function twoSites(dataDirectory?: { readonly b: string }): Promise<TestSites> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-e-'));
  const names = ['a', 'b'] as const;
  const ids = { a: newId<SiteId>(), b: newId<SiteId>() };
  const authorities = {
    a: await createAuthority({ siteId: ids.a, siteName: 'a' }),
    b: await createAuthority({ siteId: ids.b, siteName: 'b' }),
  };
  const addresses = { a: '127.0.2.1', b: '127.0.2.2' };
  const sites = await Promise.all(
    names.map(async (name, index) => {
      const own = authorities[name];
      const peer = authorities[name === 'a' ? 'b' : 'a'];
      const leaf = await issueSiteCertificate(own, {
        siteId: ids[name],
        names: [],
        addresses: [addresses[name]],
      });
      const home = join(directory, name);
      await mkdir(home, { recursive: true });
      await writeTlsDirectory(join(home, 'tls'), {
        trusted: [own.certificate],
        server: leaf,
        client: leaf,
      });
      await writeTlsDirectory(join(home, 'peer'), {
        trusted: [peer.certificate],
        server: leaf,
        client: leaf,
      });
      return testSite({
        siteId: ids[name],
        home,
        dataDirectory: (name === 'b' ? dataDirectory?.b : undefined) ?? join(home, 'data'),
        address: addresses[name],
        firstPort: FIRST_PORT + (process.pid % 50) * 2 * PORTS_EACH + index * PORTS_EACH,
        authority: own,
      });
    }),
  );
  const [a, b] = sites;
  if (!a || !b) throw new Error('two sites');
  const runDirectories = [a, b].map((site) => join(site.directory, 'run'));
  // Daemons outlive their control process, so also a test that ends in an unforeseen way ends them.
  const endAll = (): void => runDirectories.forEach((one) => killDaemons(one));
  process.once('exit', endAll);
  process.once('SIGTERM', () => process.exit(1));
  const close = async (): Promise<void> => {
    for (const site of [a, b]) await site.engine.close();
    for (const pid of runDirectories.flatMap(killDaemons)) await processEnd(pid);
    process.off('exit', endAll);
    await rm(directory, { recursive: true, force: true });
  };
  return { a, b, close };
}

interface SiteParts {
  readonly siteId: SiteId;
  readonly home: string;
  readonly dataDirectory: string;
  readonly address: string;
  readonly firstPort: number;
  readonly authority: Credential;
}

function testSite({
  siteId,
  home,
  dataDirectory,
  address,
  firstPort,
  authority,
}: SiteParts): TestSite {
  const records = new MemoryRecords();
  const log: LogLine[] = [];
  const note = (line: LogLine): void => void log.push(line);
  const make = (over: EngineRecords): ReturnType<typeof qcow2Engine> =>
    qcow2Engine({
      dataDirectory,
      runDirectory: join(home, 'run'),
      address,
      ports: { first: firstPort, last: firstPort + PORTS_EACH - 1 },
      records: over,
      clock: systemClock,
      linkCut,
      log: { info: note, warn: note, error: note },
      tls: {
        siteDirectory: join(home, 'tls'),
        peerDirectory: () => join(home, 'peer'),
        tlsName: siteId,
        hostDistinguishedName,
        peerDistinguishedName: siteDistinguishedName,
      },
    });
  let engine = make(records);
  return {
    siteId,
    directory: home,
    dataDirectory,
    log,
    authority,
    records,
    get engine() {
      return engine;
    },
    async restartControl(over = records) {
      await engine.close();
      engine = make(over);
    },
    async killDataPlane(groupId) {
      const { pid } = await engine.inspect(groupId);
      if (pid === undefined) throw new Error(`no daemon of ${groupId} to kill`);
      process.kill(pid, 'SIGKILL');
      await processEnd(pid);
    },
    async killCopy(groupId, copyId) {
      const { copies } = await engine.inspect(groupId);
      const pid = copies.find((copy) => copy.copyId === copyId)?.pid;
      if (pid === undefined) throw new Error(`no daemon of copy ${copyId} to kill`);
      process.kill(pid, 'SIGKILL');
      await processEnd(pid);
    },
    async writeThere(target, volumeId, offset, data) {
      const [trusted = '', certificate = '', privateKey = ''] = await Promise.all(
        ['ca-cert.pem', 'client-cert.pem', 'client-key.pem'].map((file) =>
          readFile(join(home, 'peer', file), 'utf8'),
        ),
      );
      const volume = await connectNbd({
        address: { host: target.host, port: target.port },
        exportName: target.exports.find((one) => one.volumeId === volumeId)?.exportName ?? '',
        tls: { serverName: target.tlsName, trusted, certificate, privateKey },
      });
      await volume.write(offset, data);
      await volume.disconnect();
    },
    async attach(at, exportName, hostName) {
      const host = await issueHostCertificate(authority, { hostName });
      return connectNbd({
        address: { host: at.host, port: at.port },
        exportName,
        tls: { serverName: siteId, trusted: authority.certificate, ...host },
      });
    },
  };
}

/** @returns the daemons' process ids */
function killDaemons(runDirectory: string): readonly number[] {
  if (!existsSync(runDirectory)) return [];
  const files = readdirSync(runDirectory).filter((name) => name.endsWith('.pid'));
  return files.flatMap((file) => {
    const pid = Number(readFileSync(join(runDirectory, file), 'utf8'));
    const commandLine = `/proc/${pid}/cmdline`;
    const isOurs =
      existsSync(commandLine) && readFileSync(commandLine, 'utf8').includes(runDirectory);
    if (!isOurs) return [];
    process.kill(pid, 'SIGKILL');
    return [pid];
  });
}

/** Waits until the process has given up its files and locks, too. */
async function processEnd(pid: number): Promise<void> {
  for (;;) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    if (stat === '' || stat.slice(stat.lastIndexOf(')')).startsWith(') Z')) return;
    await systemClock.sleep(5);
  }
}
