/** Copies as the record has them, and as their daemons are. */
import type { CopyId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { CopyInspection } from '../../ports/engine-copies.ts';
import { QmpTimeout } from '../qmp/errors.ts';
import { findProcess } from './daemon-process.ts';
import { DaemonHung } from './daemon.ts';
import type { Group } from './group.ts';
import { allocatedBytes } from './layer-file.ts';
import type { LayerName } from './histories.ts';
import type { ServerPort } from './nbd-server.ts';
import { layerFile } from './record.ts';
import type { CopyRecord, GroupRecord } from './record.ts';

/** @throws Refusal `not_found` */
export function needCopy({ copies }: GroupRecord, copyId: CopyId): CopyRecord {
  const copy = copies.find((one) => one.copyId === copyId);
  return copy ?? refuse({ code: 'not_found', what: 'copy', id: copyId });
}

/** The port of a copy's server; outside of the group's lock. */
export function copyPort(group: Group, copyId: CopyId): ServerPort {
  return {
    site: group.site,
    owner: { groupId: group.id, copyId },
    current: async () => needCopy(await group.record(), copyId).port,
    keep: (port) =>
      group.locked(async () => {
        const record = await group.record();
        const kept = { ...needCopy(record, copyId), port };
        const copies = record.copies.map((one) => (one.copyId === copyId ? kept : one));
        await group.save({ ...record, copies });
      }),
  };
}

export function scratchLayers({ chains }: CopyRecord): readonly LayerName[] {
  return chains.flatMap(({ volumeId, scratch }) =>
    scratch === undefined ? [] : [{ volumeId, number: scratch }],
  );
}

export async function inspectCopy(group: Group, copy: CopyRecord): Promise<CopyInspection> {
  const { copyId, of, writable, hosts, port, members } = copy;
  const sizes = scratchLayers(copy).map(({ volumeId, number }) =>
    allocatedBytes(group.path(layerFile(volumeId, number))),
  );
  const bytes = await Promise.all(sizes);
  return {
    copyId,
    of,
    writable,
    ...(await inspectDaemon(group, copyId)),
    address: port === undefined ? undefined : { host: group.site.options.address, port },
    hosts,
    volumes: members,
    writtenBytes: bytes.reduce((sum, one) => sum + one, 0),
  };
}

async function inspectDaemon(
  group: Group,
  copyId: CopyId,
): Promise<Pick<CopyInspection, 'dataPlane' | 'pid'>> {
  const seat = group.copySeat(copyId);
  try {
    const daemon = await seat.find();
    return { dataPlane: daemon ? 'running' : 'stopped', pid: daemon?.pid };
  } catch (cause) {
    if (!(cause instanceof DaemonHung || cause instanceof QmpTimeout)) throw cause;
    return { dataPlane: 'hung', pid: await findProcess(seat.paths) };
  }
}
