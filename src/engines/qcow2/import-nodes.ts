/** An import as nodes of the group's daemon; see `nodes.ts` for the others. */
import type { QmpClient } from '../qmp/client.ts';
import { addNode, addObject } from '../qmp/commands.ts';
import type { Fields } from '../qmp/fields.ts';
import { Failure } from '../../domain/refusal.ts';
import type { Group } from './group.ts';
import { openOrigin } from './import-origin.ts';
import type { Importing, ImportingVolume, Kept } from './import-record.ts';
import { initiatorName, reachSource } from './import-source.ts';
import { headNode, headOptions, layerNode, throttleGroup } from './nodes.ts';
import { layerFile } from './record.ts';

/** The source's volume, beneath the head until the cut-over. */
export function originNode(key: number): string {
  return `v${key}.o`;
}

/** The copy puts it above the head: a write that comes in below would not reach our copy. */
export function importFilterNode(key: number): string {
  return `v${key}.i`;
}

/** A filter that the copy writes into where the source is kept: what is beneath may change. */
export function entryNode(key: number): string {
  return `v${key}.c`;
}

/** Above the head while the source is kept: a write that comes in below would not reach it. */
export function keptFilterNode(key: number): string {
  return `v${key}.b`;
}

export const IMPORT_JOB = 'import-';
export const KEEP_JOB = 'keep-';

export function importJob({ key }: Pick<ImportingVolume, 'key'>): string {
  return `${IMPORT_JOB}${key}`;
}

export function importNodes(importing: Importing | undefined): readonly string[] {
  return (importing?.volumes ?? []).flatMap((volume) => [
    headNode(volume.key),
    originNode(volume.key),
    importFilterNode(volume.key),
    ...copyNodes(volume),
  ]);
}

/** What of a volume stays the same, wherever its hosts write. */
export function openedOf({ volumeId, name, sizeBytes, from, key }: Opened): Opened {
  return { volumeId, name, sizeBytes, from, key };
}

type Opened = Omit<ImportingVolume, 'number' | 'over'>;

/** Besides those of volumes that are ours. */
export function keptNodes(kept: Kept | undefined): readonly string[] {
  return (kept?.volumes ?? []).flatMap(({ key }) => [
    entryNode(key),
    originNode(key),
    keptFilterNode(key),
  ]);
}

type Copy = Pick<ImportingVolume, 'volumeId' | 'key' | 'number' | 'over'>;

export function copyNodes({ key, number, over }: Copy): readonly string[] {
  const copy = [entryNode(key), layerNode(key, number)];
  return over === undefined ? copy : [...copy, layerNode(key, over)];
}

export function copyFiles({ volumeId, number, over }: Copy): readonly string[] {
  const copy = layerFile(volumeId, number);
  return over === undefined ? [copy] : [copy, layerFile(volumeId, over)];
}

/**
 * Opens the sources that the daemon lacks, each beneath its head.
 *
 * @throws Failure when a daemon died while it switched: which copy hosts wrote last, nobody knows
 */
export async function openImporting(
  group: Group,
  qmp: QmpClient,
  importing: Importing,
  { nodes, objects }: { readonly nodes: ReadonlySet<string>; readonly objects: readonly string[] },
): Promise<void> {
  const { source, volumes } = importing;
  const missing = volumes.filter(({ key }) => !nodes.has(headNode(key)));
  if (missing.length === 0) return;
  if (importing.switchedBy !== undefined) throw new Failure(uncertainSentence(group));
  // The daemon would stand still for as long as it connects to somebody who does not answer.
  await reachSource(group.site, source);
  for (const { key, from } of missing) {
    if (!nodes.has(originNode(key))) {
      await openOrigin(qmp, {
        node: originNode(key),
        source,
        volume: from,
        isLook: false,
        tlsDirectory: group.path('source-tls'),
        initiatorName: initiatorName(group.site),
        vault: group.site.options.vault,
      });
    }
    const limits = throttleGroup(key);
    if (!objects.includes(limits)) await addObject(qmp, 'throttle-group', limits, {});
    await addNode(qmp, importHeadOptions({ key, from }));
  }
}

export function importHeadOptions({ key, from }: Pick<ImportingVolume, 'key' | 'from'>): Fields {
  const options = headOptions(key, originNode(key));
  return from.readOnly ? { ...options, 'read-only': true } : options;
}

export function uncertainSentence(group: Group): string {
  return (
    `group ${group.id}: the data plane died in the instant of the cut-over; hosts' last writes may ` +
    'be in our copy alone, so neither is opened and both are kept'
  );
}

/**
 * A group whose hosts were being taken back when its daemon died is opened once that is settled.
 *
 * @throws Failure
 */
export function refuseUncertain(
  group: Group,
  kept: Kept | undefined,
  nodes: ReadonlySet<string>,
): void {
  const isBegun = kept?.rolledBackBy !== undefined && kept.isParted !== true;
  if (!isBegun || kept.volumes.every(({ key }) => nodes.has(headNode(key)))) return;
  throw new Failure(`group ${group.id}: its hosts are being taken back to their source`);
}
