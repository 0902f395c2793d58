import type { QmpClient } from './client.ts';
import { count, fields, flag, list, optionalText, text } from './fields.ts';

/** Parent to child, by node names. `role` is the child's name in the parent: file, backing. */
export interface Edge {
  readonly parent: string;
  readonly child: string;
  readonly role: string;
  /** The parent may write the child. */
  readonly writes: boolean;
}

export interface BlockGraph {
  /** Also such as the daemon named itself, with `#`. */
  readonly nodes: readonly string[];
  readonly edges: readonly Edge[];
}

export interface Export {
  readonly id: string;
  readonly node: string;
  readonly shuttingDown: boolean;
}

export type JobStatus =
  | 'created'
  | 'running'
  | 'paused'
  | 'ready'
  | 'standby'
  | 'waiting'
  | 'pending'
  | 'aborting'
  | 'concluded'
  | 'null'
  | 'undefined';

export interface Job {
  readonly id: string;
  readonly type: string;
  readonly status: JobStatus;
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Of a concluded one that did not succeed. */
  readonly error: string | undefined;
}

/** What only block jobs tell, while they are not concluded. */
export interface BlockJob {
  readonly id: string;
  readonly ioStatus: 'ok' | 'failed' | 'nospace';
  readonly paused: boolean;
  /** Of a mirror: each write is at its target before it is acknowledged. */
  readonly activelySynced: boolean;
}

/** A daemon with 1,000 volumes needs 0.1 s for the nodes. */
const LIST_LIMIT_MS = 10_000;

/**
 * `query-named-block-nodes` would tell more, and ends the daemon (QEMU 10.0.2, segmentation fault)
 * while a job is concluded and not dismissed: its filter is then a node without a child.
 *
 * @see QEMU QMP reference, `x-debug-query-block-graph`
 */
export async function queryGraph(qmp: QmpClient): Promise<BlockGraph> {
  const graph = fields(await qmp.execute('x-debug-query-block-graph', {}, LIST_LIMIT_MS));
  const found = list(graph['nodes']).filter((node) => text(node, 'type') === 'block-driver');
  const names = new Map(found.map((node) => [count(node, 'id'), text(node, 'name')]));
  const edges = list(graph['edges']).map((edge) => ({
    parent: names.get(count(edge, 'parent')) ?? '',
    child: names.get(count(edge, 'child')) ?? '',
    role: text(edge, 'name'),
    writes: Array.isArray(edge['perm']) && edge['perm'].includes('write'),
  }));
  return { nodes: [...names.values()], edges };
}

export async function queryExports(qmp: QmpClient): Promise<readonly Export[]> {
  return list(await qmp.execute('query-block-exports', {}, LIST_LIMIT_MS)).map((one) => ({
    id: text(one, 'id'),
    node: text(one, 'node-name'),
    shuttingDown: flag(one, 'shutting-down'),
  }));
}

export async function queryJobs(qmp: QmpClient): Promise<readonly Job[]> {
  return list(await qmp.execute('query-jobs')).map((job) => ({
    id: text(job, 'id'),
    type: text(job, 'type'),
    status: text(job, 'status') as JobStatus,
    doneBytes: count(job, 'current-progress'),
    totalBytes: count(job, 'total-progress'),
    error: optionalText(job, 'error'),
  }));
}

export async function queryBlockJobs(qmp: QmpClient): Promise<readonly BlockJob[]> {
  return list(await qmp.execute('query-block-jobs')).map((job) => ({
    id: text(job, 'device'),
    ioStatus: ioStatus(text(job, 'io-status')),
    paused: flag(job, 'paused'),
    activelySynced: flag(job, 'actively-synced'),
  }));
}

/** Ids of the user's objects: credentials, lists, throttle groups, I/O threads. */
export async function queryObjects(qmp: QmpClient): Promise<readonly string[]> {
  return list(await qmp.execute('qom-list', { path: '/objects' }))
    .filter((property) => text(property, 'type').startsWith('child<'))
    .map((property) => text(property, 'name'));
}

export function findJob<T extends { readonly id: string }>(
  jobs: readonly T[],
  id: string,
): T | undefined {
  return jobs.find((job) => job.id === id);
}

/** Of a copy: what hosts write behind it counts as left. One that has just begun knows no total. */
export function isHalfDone({ status, doneBytes, totalBytes }: Job): boolean {
  return status === 'ready' || (totalBytes > 0 && doneBytes >= totalBytes - doneBytes);
}

function ioStatus(seen: string): BlockJob['ioStatus'] {
  return seen === 'failed' || seen === 'nospace' ? seen : 'ok';
}
