/**
 * Two real sites for a story: two `baton serve` processes, their data planes, TLS between all.
 * Everything ends with the story, by pid, and it is looked whether anything was left behind.
 */
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SiteUnreachable } from '../../src/cli/native-client.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import { startNumberedWriter } from '../../src/main/numbered-writer.ts';
import type { NumberedWriter, NumberedWriterOptions } from '../../src/main/numbered-writer.ts';
import { pairDown, pairUp, signedIn, waitForSite } from '../../src/main/pair.ts';
import type { Promised, Verification } from '../../src/main/verify-writes.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { AttachmentAnswer } from './native-answers.ts';
import { killProcessesIn, processesIn } from './site-processes.ts';
import type { SmallDisk } from './story-disk.ts';
import { layOutPair } from './story-link.ts';
import type { SilentLink } from './story-link.ts';
import type { ServerStarter } from './story-server.ts';
import { StorySite } from './story-site.ts';

const MIB = 1024 * 1024;
const PORT_OFFSET = 30_000;
const CONNECT_LIMIT_MS = 2_000;
const END_LIMIT_MS = 1_000;
const STALL_LIMIT_MS = 60_000;
const WRITES_LIMIT_MS = 30_000;
/** A machine with much else to do lets a writer wait for so long; a link that is down, longer. */
const STALL_MS = 3_000;
const AGREEMENT_LIMIT_MS = 30_000;
const HOST = 'app1';

/** What ends with the story: a test's own context, or `{ after }` of node:test for a whole file. */
export interface Scope {
  readonly after: (work: () => Promise<void>) => void;
}

export interface ProtectOptions {
  readonly rpoSeconds?: number;
  readonly volumes?: number;
  readonly volumeBytes?: number;
}

export interface TwoSitesOptions extends ProtectOptions {
  /** They know each other, unless told. */
  readonly paired?: boolean;
  /** A group of this name: see `TwoSites.protect`. */
  readonly protecting?: string;
  /** What is between the sites; loopback unless told. */
  readonly link?: SilentLink;
  /** What lyon keeps its data on; the same as everything unless told. */
  readonly lyonDisk?: SmallDisk;
  /** What lyon's clock says; the truth unless told. Not together with a link. */
  readonly lyonClock?: ServerStarter;
}

export interface WriterOptions extends Pick<
  NumberedWriterOptions,
  'writesPerSecond' | 'flushEvery' | 'queueDepth'
> {
  readonly volumes: readonly string[];
  /** Only the first so many bytes of each volume are written. */
  readonly spanBytes?: number;
}

/** No cycle starts by itself in a story that does not ask for one. */
const ONLY_ON_DEMAND_SECONDS = 3600;

let made = 0;

export async function twoSites(
  scope: Scope,
  { protecting, paired = true, link, lyonDisk, lyonClock, ...options }: TwoSitesOptions = {},
): Promise<TwoSites> {
  const dir = await mkdtemp(join(tmpdir(), 'baton-story-'));
  const sites = await bringUp(scope, dir, { paired, link, lyonDisk, lyonClock });
  if (protecting !== undefined) await sites.protect(protecting, options);
  return sites;
}

/** The names that `TwoSites.protect` gives a group's volumes. */
export function volumesOf(group: string, count = 2): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${group}-${index + 1}`);
}

interface Surroundings {
  readonly paired: boolean;
  readonly link: SilentLink | undefined;
  readonly lyonDisk: SmallDisk | undefined;
  readonly lyonClock: ServerStarter | undefined;
}

async function bringUp(
  scope: Scope,
  dir: string,
  { paired, link, lyonDisk, lyonClock }: Surroundings,
): Promise<TwoSites> {
  // Whatever ends this process, also a time limit: nothing of the story outlives it.
  const atExit = (): void => {
    killProcessesIn(dir);
    rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
  };
  process.on('exit', atExit);
  const story: { sites?: TwoSites } = {};
  scope.after(async () => {
    await end(dir, story.sites, lyonDisk);
    process.off('exit', atExit);
  });
  await lyonDisk?.mountAt(join(dir, 'lyon', 'data'));
  const [addressA, addressB] = link?.addresses ?? ownAddresses();
  const options = { dir, addressA, addressB, portOffset: PORT_OFFSET, unpaired: !paired };
  assert.ok(link === undefined || lyonClock === undefined);
  const starter: ServerStarter | undefined = link ?? lyonClock;
  if (starter !== undefined) {
    const [, lyon] = await layOutPair(options);
    assert.ok(lyon);
    await waitForSite(dir, lyon, await starter.start(dir, lyon));
  }
  const pair = await pairUp(options);
  const [paris, lyon] = await Promise.all(
    pair.sites.map(async (site) => new StorySite(dir, site, await signedIn(site))),
  );
  assert.ok(paris && lyon);
  await Promise.all([paris.hostFiles(HOST), lyon.hostFiles(HOST)]);
  story.sites = new TwoSites(dir, paris, lyon);
  return story.sites;
}

/** Stories run beside each other: every pair has two loopback addresses that no other has. */
function ownAddresses(): readonly [string, string] {
  made += 1;
  const [high, low] = [64 + ((process.pid >> 8) & 0x3f), process.pid & 0xff];
  return [`127.${high}.${low}.${made * 2}`, `127.${high}.${low}.${made * 2 + 1}`];
}

async function end(
  dir: string,
  sites: TwoSites | undefined,
  lyonDisk: SmallDisk | undefined,
): Promise<void> {
  const failures: unknown[] = [];
  const attempt = async (work: () => Promise<void> | undefined): Promise<void> => {
    try {
      await work();
    } catch (error) {
      failures.push(error);
    }
  };
  await attempt(() => sites?.stopWriters());
  await attempt(() => pairDown(dir));
  // One that has closed everything may still be on its last few milliseconds.
  await attempt(() => noProcessIn(dir));
  if (killProcessesIn(dir).length > 0) await attempt(() => noProcessIn(dir));
  await attempt(() => lyonDisk?.unmount());
  await rm(dir, { recursive: true, force: true });
  assert.deepEqual(failures, []);
  assert.ok(!existsSync(dir));
}

async function noProcessIn(dir: string): Promise<void> {
  await waitUntil('no process is left of a pair that was taken down', END_LIMIT_MS, () =>
    Promise.resolve(processesIn(dir).length === 0 ? true : undefined),
  );
}

/** A pair of sites and the hosts that use it. */
export class TwoSites {
  readonly dir: string;
  readonly paris: StorySite;
  readonly lyon: StorySite;
  readonly #writers: NumberedWriter[] = [];
  /** Where a site served a volume when it was last asked; hosts remember it while nobody answers. */
  readonly #attachments = new Map<string, AttachmentAnswer>();

  constructor(dir: string, paris: StorySite, lyon: StorySite) {
    this.dir = dir;
    this.paris = paris;
    this.lyon = lyon;
  }

  /** Makes a group with volumes that paris holds, maps it to a host, and replicates it to lyon. */
  async protect(
    group: string,
    {
      rpoSeconds = ONLY_ON_DEMAND_SECONDS,
      volumes = 2,
      volumeBytes = 64 * MIB,
    }: ProtectOptions = {},
  ): Promise<void> {
    await this.paris.createGroup(group);
    for (const volume of volumesOf(group, volumes)) {
      await this.paris.createVolume(volume, volumeBytes, group);
    }
    await this.paris.map(group, HOST);
    await this.paris.protect(group, this.lyon, rpoSeconds);
  }

  /** Writes numbered blocks on whoever holds the volumes, until it is stopped. */
  async startWriter({ volumes, spanBytes, ...options }: WriterOptions): Promise<NumberedWriter> {
    const sizes = await Promise.all(
      volumes.map(async (label) => {
        const { sizeBytes } = await this.paris.volume(label);
        return { label, sizeBytes: Math.min(sizeBytes, spanBytes ?? sizeBytes) };
      }),
    );
    const writer = await startNumberedWriter({
      writesPerSecond: 600,
      flushEvery: 50,
      ...options,
      volumes: sizes,
      seed: 1,
      connect: (label) => this.connectHolder(label),
    });
    this.#writers.push(writer);
    return writer;
  }

  /** Stops the writer and looks for its writes at whoever holds the volumes now. */
  async verify(writer: NumberedWriter, promised: Promised): Promise<Verification> {
    await writer.stop();
    const open: NbdConnection[] = [];
    try {
      return await writer.verify(async (label) => {
        const connection = await waitUntil(`${label} is served`, CONNECT_LIMIT_MS * 5, () =>
          this.connectHolder(label).catch(() => undefined),
        );
        open.push(connection);
        return connection;
      }, promised);
    } finally {
      await Promise.all(open.map((c) => c.disconnect()));
    }
  }

  /** The site that holds the group, then the other. */
  async holderFirst(group: string): Promise<readonly [StorySite, StorySite]> {
    const { heldHere } = await this.paris.group(group);
    return heldHere ? [this.paris, this.lyon] : [this.lyon, this.paris];
  }

  /** Once both sites say the same of a group that no operation changes: its holder and epoch. */
  agreement(group: string): Promise<{ readonly holder: string; readonly epoch: number }> {
    let last: readonly Standing[] = [];
    return waitUntil(`the sites agree on ${group}`, AGREEMENT_LIMIT_MS, async () => {
      last = await Promise.all([this.paris, this.lyon].map((site) => standingAt(site, group)));
      const [p, l] = last;
      if (p === undefined || l === undefined || !last.every(isQuiet)) return undefined;
      if (p.holder !== l.holder || p.epoch !== l.epoch) return undefined;
      return { holder: p.holder, epoch: p.epoch };
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; last seen: ${JSON.stringify(last)}`, { cause: error });
    });
  }

  async stopWriters(): Promise<void> {
    await Promise.all(this.#writers.map((w) => w.stop({ limitMs: CONNECT_LIMIT_MS })));
  }

  /** Opens a volume where it is served now, as a host that follows it does. */
  async connectHolder(volume: string): Promise<NbdConnection> {
    const failures: unknown[] = [];
    for (const site of [this.paris, this.lyon]) {
      try {
        return await this.connect(site, volume);
      } catch (error) {
        failures.push(error);
      }
    }
    throw new AggregateError(failures, `no site serves ${volume} now: ${failures.join('; ')}`);
  }

  /** Opens a volume at this site, as a host with the certificate that the site issued it. */
  async connect(site: StorySite, volume: string, host = HOST): Promise<NbdConnection> {
    return this.connectAt(site, await this.#attachment(site, volume), host);
  }

  /** The same where the site said so once, whether it would say so now or not. */
  async connectAt(
    site: StorySite,
    { host: address, port, exportName, tlsName }: AttachmentAnswer,
    host = HOST,
  ): Promise<NbdConnection> {
    if (address === undefined || port === undefined) {
      throw new Error(`${site.name} does not serve ${exportName} now`);
    }
    const files = await site.hostFiles(host);
    return connectNbd({
      address: { host: address, port },
      exportName,
      tls: {
        serverName: tlsName,
        trusted: files['ca-cert.pem'],
        certificate: files['client-cert.pem'],
        privateKey: files['client-key.pem'],
      },
      connectTimeoutMs: CONNECT_LIMIT_MS,
      stallTimeoutMs: STALL_LIMIT_MS,
    });
  }

  async #attachment(site: StorySite, volume: string): Promise<AttachmentAnswer> {
    const key = `${site.name}/${volume}`;
    try {
      const answer = await site.attachment(volume);
      this.#attachments.set(key, answer);
      return answer;
    } catch (error) {
      const remembered = this.#attachments.get(key);
      if (error instanceof SiteUnreachable && remembered !== undefined) return remembered;
      throw error;
    }
  }
}

interface Standing {
  readonly at: string;
  readonly holder: string;
  readonly epoch: number;
  readonly operation: string | undefined;
  readonly fenced: boolean;
  readonly role: string;
  readonly state: string;
  readonly link: string | undefined;
}

async function standingAt(site: StorySite, group: string): Promise<Standing> {
  const { holder, epoch, operation, fenced } = await site.group(group);
  const { role, state, link } = await site.session(group);
  const told = { holder: holder.name, epoch, operation, fenced, role, state };
  return { at: site.name, ...told, link: link?.state };
}

/** Nothing runs, nothing is left over, and the site plays the part that it says it has. */
function isQuiet({ at, holder, operation, fenced, role, state, link }: Standing): boolean {
  const fits = role === (at === holder ? 'source' : 'destination');
  return fits && operation === undefined && !fenced && state === 'ok' && link === 'up';
}

/** Waits until the writer has so many more writes acknowledged. */
export async function moreWrites(writer: NumberedWriter, count: number): Promise<void> {
  const wanted = writer.counts().acknowledged + count;
  await waitUntil(`${count} more writes are acknowledged`, WRITES_LIMIT_MS, () =>
    Promise.resolve(writer.counts().acknowledged >= wanted ? true : undefined),
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(writer.disconnected())}`, { cause: error });
  });
}

/** Nothing that was promised is missing. */
export function assertNothingLost(verification: Verification): void {
  assert.ok(verification.ok, JSON.stringify(verification));
  assert.ok(verification.checked > 0, 'the writer wrote something');
}

/** Not one write failed, no connection was lost, and none waited for longer than a busy machine. */
export function assertHostsNeverStalled(writer: NumberedWriter): void {
  assert.equal(writer.serverErrors(), 0);
  assert.deepEqual(writer.disconnected(), []);
  const { durationMs } = writer.longestGap();
  assert.ok(durationMs < STALL_MS, `hosts waited ${Math.round(durationMs)} ms`);
}
