/**
 * Names and options of the nodes in a group's daemon. Per volume, from the export down:
 *
 *   export ─▶ v3 (head, throttle) ─▶ v3-2 (active) ─▶ v3-1 (sealed) ─▶ v3-0 (sealed)
 *                                                      ▲
 *           v3.n (NBD) ◀─ mirror ◀─ v3-1.s (send head) ┘
 *                         commit ◀─ v3.m (merge head, over any layer); v3.g: gathered layers
 *   export ─▶ v3.t (mirror filter, while there is a mirror) ─▶ v3; its target is v3.y (NBD)
 *
 * The head is a filter that never moves: block jobs look through it, everything changes beneath.
 * Heads for jobs give them the root node that they want, off the hosts' way.
 */
import type { Fields } from '../qmp/fields.ts';

/**
 * How layers are opened on this site's disk and kernel. Never `native`: in QEMU 10.0 opening a file
 * so holds the daemon, hosts included, for 35 ms; and hosts are no slower with `io_uring`.
 */
export interface LayerIo {
  readonly direct: boolean;
  readonly aio: 'io_uring' | 'threads';
}

export interface LayerNode {
  readonly node: string;
  readonly path: string;
  /** Node of the layer below; null: none, or none yet. */
  readonly backing: string | null;
  readonly readOnly: boolean;
  readonly io: LayerIo;
}

export function layerNode(key: number, number: number): string {
  return `v${key}-${number}`;
}

export function headNode(key: number): string {
  return `v${key}`;
}

export function sendHeadNode(source: string): string {
  return `${source}.s`;
}

/** A window on a target, as large as a source that is smaller than the target. */
export function windowNode(source: string): string {
  return `${source}.w`;
}

export function linkNode(key: number): string {
  return `v${key}.n`;
}

export function mergeHeadNode(key: number): string {
  return `v${key}.m`;
}

/** The mirror puts it above the head: what is written below it is not mirrored. */
export function mirrorFilterNode(key: number): string {
  return `v${key}.t`;
}

export function mirrorLinkNode(key: number): string {
  return `v${key}.y`;
}

export function isMirrorNode(name: string): boolean {
  return /\.[ty]$/.test(name);
}

/** A layer of its own that gathers several layers for a send. */
export function gatheredNode(key: number): string {
  return `v${key}.g`;
}

export function isMergeHead(name: string): boolean {
  return name.endsWith('.m');
}

/** A node that only a send has. */
export function isSendNode(name: string): boolean {
  return /\.[sngw]$/.test(name);
}

export function fileNode(node: string): string {
  return `${node}.f`;
}

export function throttleGroup(key: number): string {
  return `tg-v${key}`;
}

/** Options that open a layer. Its file is opened for writing only while somebody writes. */
export function layerOptions({ node, path, backing, readOnly, io }: LayerNode): Fields {
  const cache = { direct: io.direct, 'no-flush': false };
  return {
    ...reopenOptions({ node, backing, readOnly, io }),
    file: {
      driver: 'file',
      'node-name': fileNode(node),
      filename: path,
      aio: io.aio,
      cache,
      discard: 'unmap',
      'read-only': false,
      'auto-read-only': true,
    },
  };
}

/** The full set that `blockdev-reopen` wants, with children by name. */
export function reopenOptions({ node, backing, readOnly, io }: Omit<LayerNode, 'path'>): Fields {
  return {
    driver: 'qcow2',
    'node-name': node,
    'read-only': readOnly,
    discard: 'unmap',
    cache: { direct: io.direct, 'no-flush': false },
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

/** A head for a job: reads are limited by its group, nothing is written through it. */
export function jobHeadOptions(node: string, limits: string, child: string): Fields {
  return {
    driver: 'throttle',
    'node-name': node,
    'throttle-group': limits,
    'read-only': true,
    file: child,
  };
}
