/**
 * Names and options of the nodes in a group's daemon. Per volume, from the export down:
 *
 *   export ─▶ v3 (head, throttle) ─▶ v3-2 (active) ─▶ v3-1 (sealed) ─▶ v3-0 (sealed)
 *                                                      ▲
 *     v3.n (NBD) ◀─ v3.t (throttle) ◀─ mirror ◀─ v3.s ─┘
 *                                                commit ◀─ v3.m (merge head, over any layer)
 *
 * The head is a filter that never moves: block jobs look through it, everything changes beneath.
 * Heads for jobs give them the root node that they want, off the hosts' way.
 */
import type { Fields } from '../qmp/fields.ts';

export type Aio = 'native' | 'io_uring' | 'threads';

/** How layers are opened on this site's disk and kernel. */
export interface LayerIo {
  readonly direct: boolean;
  /** For layers that hosts write: the most IOPS, but 35 ms of the daemon's main loop to open. */
  readonly active: Aio;
  /** For all others. */
  readonly quiet: Aio;
}

export type LayerUse = 'active' | 'sealed';

export interface LayerNode {
  readonly node: string;
  readonly path: string;
  /** Node of the layer below; null: none, or none yet. */
  readonly backing: string | null;
  readonly readOnly: boolean;
  readonly aio: Aio;
  readonly direct: boolean;
}

export function layerNode(key: number, number: number): string {
  return `v${key}-${number}`;
}

export function headNode(key: number): string {
  return `v${key}`;
}

export function sendHeadNode(key: number): string {
  return `v${key}.s`;
}

/** The link with its limit: what a copy writes to. */
export function targetNode(key: number): string {
  return `v${key}.t`;
}

export function linkNode(key: number): string {
  return `v${key}.n`;
}

export function mergeHeadNode(key: number): string {
  return `v${key}.m`;
}

/** A layer of its own that gathers several layers for a send. */
export function gatheredNode(key: number): string {
  return `v${key}.g`;
}

export function fileNode(node: string): string {
  return `${node}.f`;
}

export function throttleGroup(key: number): string {
  return `tg-v${key}`;
}

/** Options that open a layer. Its file is opened for writing only while somebody writes. */
export function layerOptions({ node, path, backing, readOnly, aio, direct }: LayerNode): Fields {
  const cache = { direct, 'no-flush': false };
  return {
    ...reopenOptions({ node, backing, readOnly, direct }),
    file: {
      driver: 'file',
      'node-name': fileNode(node),
      filename: path,
      aio,
      cache,
      discard: 'unmap',
      'read-only': false,
      'auto-read-only': true,
    },
  };
}

/** The full set that `blockdev-reopen` wants, with children by name. */
export function reopenOptions({
  node,
  backing,
  readOnly,
  direct,
}: Pick<LayerNode, 'node' | 'backing' | 'readOnly' | 'direct'>): Fields {
  return {
    driver: 'qcow2',
    'node-name': node,
    'read-only': readOnly,
    discard: 'unmap',
    cache: { direct, 'no-flush': false },
    file: fileNode(node),
    backing,
  };
}

export function headOptions(key: number, child: string): Fields {
  return {
    driver: 'throttle',
    'node-name': headNode(key),
    'throttle-group': throttleGroup(key),
    file: child,
  };
}

/**
 * A head for a job: any filter, since nothing is written through it. But of QEMU 10.0.2 a `throttle`
 * that is opened over a node of an I/O thread ends the daemon (throttle_attach_aio_context), and a
 * `compress` beneath a mirror holds it for ever (bdrv_refresh_limits under the graph's lock).
 */
export function jobHeadOptions(node: string, child: string): Fields {
  return { driver: 'preallocate', 'node-name': node, 'read-only': true, file: child };
}
