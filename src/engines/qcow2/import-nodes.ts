/** An import as nodes of the group's daemon; see `nodes.ts` for the others. */
import type { QmpClient } from '../qmp/client.ts';
import { addNode, addObject } from '../qmp/commands.ts';
import type { Fields } from '../qmp/fields.ts';
import { Failure } from '../../domain/refusal.ts';
import type { Group } from './group.ts';
import { openOrigin } from './import-origin.ts';
import type { Importing, ImportingVolume } from './import-record.ts';
import { initiatorName, reachSource } from './import-source.ts';
import { headNode, headOptions, layerNode, throttleGroup } from './nodes.ts';

/** The source's volume, beneath the head until the cut-over. */
export function originNode(key: number): string {
  return `v${key}.o`;
}

/** The copy puts it above the head: a write that comes in below would not reach our copy. */
export function importFilterNode(key: number): string {
  return `v${key}.i`;
}

export const IMPORT_JOB = 'import-';

export function importJob({ key }: Pick<ImportingVolume, 'key'>): string {
  return `${IMPORT_JOB}${key}`;
}

export function importNodes(importing: Importing | undefined): readonly string[] {
  return (importing?.volumes ?? []).flatMap(({ key, number }) => [
    headNode(key),
    originNode(key),
    importFilterNode(key),
    layerNode(key, number),
  ]);
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
