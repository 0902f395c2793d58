import { execFile } from 'node:child_process';
import { chown, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;
/** Any user but root will do. */
const NOBODY = 65_534;

/** Something that fio reads and writes. */
export interface FioTarget {
  readonly options: readonly string[];
  readonly home?: string;
}

export interface FioJob {
  readonly rw: 'read' | 'write' | 'randread' | 'randwrite';
  readonly blockBytes: number;
  readonly queueDepth: number;
  /** Of the target, from its start. */
  readonly sizeBytes: number;
  /** Either so much of it, each block once … */
  readonly ioBytes?: number;
  /** … or for so long, again and again. */
  readonly seconds?: number;
  readonly iops?: number;
  /** Which blocks, in which order. */
  readonly seed: number;
  /** Further options, as fio names them. */
  readonly more?: readonly string[];
}

export interface FioResult {
  readonly iops: number;
  readonly bytesPerSecond: number;
  readonly meanMicroseconds: number;
  readonly p99Microseconds: number;
  readonly ioBytes: number;
}

/** A file, past the page cache. */
export function fileTarget(path: string): FioTarget {
  return { options: ['--ioengine=libaio', '--direct=1', `--filename=${path}`] };
}

/** An export that needs no certificate. */
export function socketTarget(uri: string): FioTarget {
  return { options: ['--ioengine=nbd', `--uri=${uri}`] };
}

/**
 * An export over TLS, straight from fio. It cannot be told where its certificates are: libnbd looks
 * in the home directory of a user who is not root, so it gets one.
 */
export async function tlsTarget(at: {
  readonly host: string;
  readonly port: number;
  readonly exportName: string;
  /** Holds `ca-cert.pem`, `client-cert.pem` and `client-key.pem`. */
  readonly credentialsDirectory: string;
  /** Is made, and holds a copy of them. */
  readonly home: string;
}): Promise<FioTarget> {
  const { host, port, exportName, credentialsDirectory, home } = at;
  const pki = join(home, '.pki', 'libnbd');
  await mkdir(pki, { recursive: true });
  for (const name of ['ca-cert.pem', 'client-cert.pem', 'client-key.pem']) {
    await copyFile(join(credentialsDirectory, name), join(pki, name));
    if (isRoot) await chown(join(pki, name), NOBODY, NOBODY);
  }
  if (isRoot) await chown(home, NOBODY, NOBODY);
  const uri = `nbds://${host}:${port}/${encodeURIComponent(exportName)}`;
  return { options: ['--ioengine=nbd', `--uri=${uri}`], home };
}

const isRoot = process.getuid?.() === 0;

/** @throws Error with what fio said when an I/O failed */
export async function fio(target: FioTarget, job: FioJob): Promise<FioResult> {
  const { rw, blockBytes, queueDepth, sizeBytes, ioBytes, seconds, iops, seed } = job;
  const args = [
    ...['--name=bench', '--output-format=json', '--thread', '--group_reporting'],
    ...target.options,
    ...[`--rw=${rw}`, `--bs=${blockBytes}`, `--iodepth=${queueDepth}`, `--size=${sizeBytes}`],
    ...['--randrepeat=1', `--randseed=${seed}`, '--random_generator=tausworthe64'],
    ...(ioBytes === undefined ? [] : [`--io_size=${ioBytes}`]),
    ...(seconds === undefined ? [] : ['--time_based=1', `--runtime=${seconds}`]),
    ...(iops === undefined ? [] : [`--rate_iops=${iops}`]),
    ...(job.more ?? []),
  ];
  const asNobody = target.home !== undefined && isRoot;
  const { stdout } = await run('fio', args, {
    maxBuffer: OUTPUT_LIMIT_BYTES,
    cwd: target.home ?? '/',
    env: { ...process.env, ...(target.home !== undefined && { HOME: target.home }) },
    ...(asNobody && { uid: NOBODY, gid: NOBODY }),
  }).catch((cause: unknown) => {
    const { stderr } = cause as { readonly stderr?: string };
    throw new Error(`fio ${target.options.join(' ')}: ${stderr?.trim() ?? String(cause)}`);
  });
  return parse(stdout, rw);
}

interface Side {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly io_bytes: number;
  readonly clat_ns: { readonly mean: number; readonly percentile?: Record<string, number> };
}

function parse(output: string, rw: FioJob['rw']): FioResult {
  // Warnings come before the JSON on standard output.
  const { jobs } = JSON.parse(output.slice(output.indexOf('{\n'))) as {
    readonly jobs: readonly { readonly error: number; readonly read: Side; readonly write: Side }[];
  };
  const [job] = jobs;
  if (job?.error !== 0) throw new Error(`fio failed: ${output.slice(0, 2000)}`);
  const side = rw.endsWith('read') ? job.read : job.write;
  return {
    iops: side.iops,
    bytesPerSecond: side.bw_bytes,
    meanMicroseconds: side.clat_ns.mean / 1000,
    p99Microseconds: (side.clat_ns.percentile?.['99.000000'] ?? NaN) / 1000,
    ioBytes: side.io_bytes,
  };
}
