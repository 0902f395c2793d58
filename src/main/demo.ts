/**
 * The main job, shown: a group of three volumes with a live writer passes from one site to the
 * other and back, and every acknowledged write is looked for afterwards.
 */
import { askSite } from '../cli/native-client.ts';
import type { NativeSite } from '../cli/native-client.ts';
import { connectNbd } from '../engines/nbd/connection.ts';
import type { NbdConnection } from '../engines/nbd/connection.ts';
import { startNumberedWriter } from './numbered-writer.ts';
import type { NumberedWriter } from './numbered-writer.ts';
import { DemoReport, readableBytes } from './demo-steps.ts';
import { signedIn } from './pair.ts';
import type { PairDescription } from './pair-files.ts';
import { waitUntil } from './wait-until.ts';

const GROUP = 'orders';
const HOST = 'demo-host';
const VOLUMES = ['orders-data', 'orders-log', 'orders-index'] as const;
const VOLUME_BYTES = 256 * 1024 * 1024;
const WRITES_PER_SECOND = 1500;
const RPO_SECONDS = 5;
const STEP_LIMIT_MS = 60_000;
const WRITES_PER_LEG = 2000;

interface DemoSite extends NativeSite {
  readonly name: string;
  readonly bundle: Record<'ca-cert.pem' | 'client-cert.pem' | 'client-key.pem', string>;
}

interface Attachment {
  readonly host: string;
  readonly port: number;
  readonly exportName: string;
  readonly tlsName: string;
}

interface JobAnswer {
  readonly id: string;
  readonly state: 'running' | 'undoing' | 'done' | 'undone';
  readonly steps: readonly { readonly name: string; readonly durationMs: number }[];
  readonly outcome?: { readonly message: string };
}

export interface DemoResult {
  readonly held: boolean;
  readonly report: DemoReport;
}

/** @returns whether every promise held; the steps are printed as they end */
export async function runDemo(
  pair: PairDescription,
  print: (line: string) => void,
): Promise<DemoResult> {
  const report = new DemoReport(print);
  const [paris, lyon] = await Promise.all(pair.sites.map(prepareSite));
  if (paris === undefined || lyon === undefined)
    throw new Error('the demonstration needs two sites');

  await report.step(
    'make group of 3 volumes at paris',
    () => makeGroup(paris),
    () => `3 × ${readableBytes(VOLUME_BYTES)}`,
  );
  const writer = await report.step(
    'attach a writer over NBD and TLS',
    () => attach([paris, lyon]),
    () => `${WRITES_PER_SECOND} numbered writes/s of 4 KiB`,
  );
  try {
    await report.step('protect to lyon, first copy', () => protect(paris), firstCopyTold);
    await handOver(report, writer, paris, lyon);
    await handOver(report, writer, lyon, paris);
  } finally {
    await writer.stop();
  }
  const counts = writer.counts();
  const lost = await report.step(
    'look for every acknowledged write',
    () => verify(writer, paris),
    (wrong) => `${counts.acknowledged} acknowledged, ${wrong} lost`,
  );
  const equal = await report.step(
    'hash the same point at both sites',
    () => compare(paris, lyon),
    (same) => (same ? 'equal' : 'DIFFERENT'),
  );
  return { held: lost === 0 && equal, report };
}

async function prepareSite(described: PairDescription['sites'][number]): Promise<DemoSite> {
  const site = await signedIn(described);
  const answer = await askSite<{ files: DemoSite['bundle'] }>(site, {
    method: 'POST',
    path: '/hosts',
    body: { name: HOST },
  });
  return { ...site, name: described.name, bundle: answer.files };
}

async function makeGroup(site: DemoSite): Promise<void> {
  const group = await askSite<{ id: string }>(site, {
    method: 'POST',
    path: '/groups',
    body: { name: GROUP },
  });
  for (const name of VOLUMES) {
    const body = { name, sizeBytes: VOLUME_BYTES, group: group.id };
    await job(site, { method: 'POST', path: '/volumes', body });
  }
  await askSite(site, { method: 'PUT', path: `/groups/${GROUP}/hosts/${HOST}` });
}

/** The writer follows the group: it asks the sites who serves it now. */
function attach(sites: readonly DemoSite[]): Promise<NumberedWriter> {
  return startNumberedWriter({
    volumes: VOLUMES.map((label) => ({ label, sizeBytes: VOLUME_BYTES })),
    seed: 1,
    writesPerSecond: WRITES_PER_SECOND,
    connect: (label) => connectHolder(sites, label),
  });
}

async function connectHolder(sites: readonly DemoSite[], volume: string): Promise<NbdConnection> {
  const failures: unknown[] = [];
  for (const site of sites) {
    try {
      return await connect(site, volume);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, `no site serves ${volume} now`);
}

async function connect(site: DemoSite, volume: string): Promise<NbdConnection> {
  const { host, port, exportName, tlsName } = await askSite<Attachment>(site, {
    method: 'GET',
    path: `/volumes/${volume}/attachment`,
  });
  const { bundle } = site;
  return connectNbd({
    address: { host, port },
    exportName,
    tls: {
      serverName: tlsName,
      trusted: bundle['ca-cert.pem'],
      certificate: bundle['client-cert.pem'],
      privateKey: bundle['client-key.pem'],
    },
  });
}

interface SessionAnswer {
  readonly state: string;
  readonly parkedBecause?: string;
  readonly newestPoint?: { readonly id: string };
  readonly lastCycle?: {
    readonly kind: string;
    readonly sentBytes: number;
    readonly durationMs: number;
  };
}

function session(site: DemoSite): Promise<SessionAnswer> {
  return askSite<SessionAnswer>(site, { method: 'GET', path: `/groups/${GROUP}/session` });
}

async function protect(site: DemoSite): Promise<SessionAnswer> {
  const body = { peer: 'lyon', rpoSeconds: RPO_SECONDS };
  await job(site, { method: 'PUT', path: `/groups/${GROUP}/session`, body });
  return waitUntil('the first copy is complete', STEP_LIMIT_MS, async () => {
    const seen = await session(site);
    return seen.state === 'ok' && seen.lastCycle !== undefined ? seen : undefined;
  });
}

function firstCopyTold({ lastCycle }: SessionAnswer): string {
  return `${lastCycle?.kind ?? ''}, ${readableBytes(lastCycle?.sentBytes ?? 0)} sent`;
}

async function handOver(
  report: DemoReport,
  writer: NumberedWriter,
  from: DemoSite,
  to: DemoSite,
): Promise<void> {
  const before = writer.counts().acknowledged;
  await writes(writer, before + WRITES_PER_LEG / 2);
  const sinceMs = performance.now();
  await report.step(
    `hand over ${from.name} → ${to.name} under load`,
    () => job(from, { method: 'POST', path: `/groups/${GROUP}/handover`, body: {} }),
    stepsTold,
  );
  await report.step(
    `writer goes on at ${to.name}`,
    async () => {
      await writes(writer, writer.counts().acknowledged + WRITES_PER_LEG);
      return writer.outageBetween(sinceMs, performance.now());
    },
    ({ durationMs }) => `longest time between two writes ${Math.round(durationMs)} ms`,
  );
}

/** The steps that take time, and behind which hosts wait. */
function stepsTold({ steps }: JobAnswer): string {
  const told = steps.filter(({ durationMs }) => durationMs >= 1);
  return told.map(({ name, durationMs }) => `${name} ${Math.round(durationMs)}`).join(', ');
}

function writes(writer: NumberedWriter, wanted: number): Promise<unknown> {
  return waitUntil(`the writer has ${wanted} writes acknowledged`, STEP_LIMIT_MS, () =>
    Promise.resolve(writer.counts().acknowledged >= wanted ? true : undefined),
  );
}

/** @returns how many acknowledged writes are missing or torn */
async function verify(writer: NumberedWriter, holder: DemoSite): Promise<number> {
  const open: NbdConnection[] = [];
  try {
    const { lost, torn } = await writer.verify(async (label) => {
      const connection = await connect(holder, label);
      open.push(connection);
      return connection;
    }, 'acknowledged');
    return lost + torn;
  } finally {
    await Promise.all(open.map((c) => c.disconnect()));
  }
}

async function compare(holder: DemoSite, other: DemoSite): Promise<boolean> {
  await job(holder, { method: 'POST', path: `/groups/${GROUP}/session/sync` });
  const { newestPoint } = await session(holder);
  const path = `/groups/${GROUP}/points/${newestPoint?.id ?? ''}/hash`;
  const hashes = await Promise.all(
    [holder, other].map((site) =>
      askSite<{ volumes: readonly { volumeId: string; hash: string }[] }>(site, {
        method: 'POST',
        path,
      }),
    ),
  );
  const [here, there] = hashes.map(({ volumes }) =>
    volumes
      .map((v) => `${v.volumeId} ${v.hash}`)
      .toSorted((a, b) => a.localeCompare(b))
      .join('\n'),
  );
  return here !== undefined && here === there;
}

/** Asks for something long and waits for its end. */
async function job(
  site: DemoSite,
  asked: { readonly method: 'POST' | 'PUT'; readonly path: string; readonly body?: unknown },
): Promise<JobAnswer> {
  const started = await askSite<{ job: JobAnswer }>(site, asked);
  const ended = await waitUntil(`${asked.path} has ended`, STEP_LIMIT_MS, async () => {
    const path = `/jobs/${started.job.id}`;
    const seen = await askSite<JobAnswer>(site, { method: 'GET', path });
    return seen.state === 'done' || seen.state === 'undone' ? seen : undefined;
  });
  if (ended.state === 'undone')
    throw new Error(`${asked.path}: ${ended.outcome?.message ?? 'undone'}`);
  return ended;
}
