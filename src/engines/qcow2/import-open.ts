import { Failure, Refusal, refuse } from '../../domain/refusal.ts';
import type { OpenImport } from '../../ports/importer.ts';
import { QmpError, QmpTimeout } from '../qmp/errors.ts';
import { enter, enterRunning } from './enter.ts';
import type { Group } from './group.ts';
import type { ImportingVolume } from './import-record.ts';
import { probeVolume } from './import-source.ts';
import { createLayers } from './layers.ts';

export async function openImport(
  group: Group,
  { source, volumes, keepsSource }: OpenImport,
): Promise<void> {
  if ((await group.record()).importing === undefined) {
    for (const { name, from, sizeBytes } of volumes) {
      const seen = await probeVolume(group.site, source, from);
      if (seen.sizeBytes === sizeBytes) continue;
      const [wanted, found] = [`${sizeBytes} bytes, as before`, `${seen.sizeBytes}`];
      refuse({ code: 'invalid', field: `size of ${name}`, wanted, seen: found });
    }
  }
  await group.locked(async () => {
    const { record } = await enter(group);
    if (record.hasPresent || record.points.length > 0) {
      throw new Failure(`group ${group.id} has volumes: nothing can be imported into it`);
    }
    if (record.importing === undefined) {
      let { nextKey, nextLayer } = record;
      const known = volumes.map((volume): ImportingVolume => ({
        ...volume,
        key: nextKey++,
        number: nextLayer++,
      }));
      // Room is looked for now, so that nobody waits for hours to hear that there was none.
      await createLayers(
        group,
        known.map((volume) => ({ ...volume, below: undefined })),
      );
      const none = { copiedBy: undefined, switchedBy: undefined };
      const importing = { source, volumes: known, keepsSource, ...none };
      await group.save({ ...record, nextKey, nextLayer, importing });
    }
    try {
      await enterRunning(group);
    } catch (cause) {
      if (cause instanceof Refusal) throw cause;
      if (!(cause instanceof QmpError || cause instanceof QmpTimeout)) throw cause;
      refuse({ code: 'source_unreachable', source: source.name, detail: cause.message });
    }
  });
}
