/** A volume of a copy, as an agent follows it: by `COPY/VOLUME`, and nowhere else than here. */
import { createHash } from 'node:crypto';
import { historyOfCopy } from '../domain/copy.ts';
import type { Copy } from '../domain/copy.ts';
import { followedName } from '../domain/history.ts';
import { isId } from '../domain/ids.ts';
import type { CopyId, SiteId, VolumeId } from '../domain/ids.ts';
import type { GroupInspection } from '../ports/engine.ts';
import type { Transaction } from '../ports/store.ts';
import type { FollowedVolume, NotFound } from './follow-volumes.ts';

export interface FoundCopy {
  readonly asked: string;
  readonly found: 'copy';
  readonly copy: Copy;
  /** Its volume's name or id. */
  readonly volume: string;
}

/** @returns undefined where the words are not of this form */
export async function findCopy(
  tx: Transaction,
  asked: string,
  hostName: string,
): Promise<FoundCopy | NotFound | undefined> {
  const [of = '', volume, ...more] = asked.split('/');
  if (volume === undefined || more.length > 0) return undefined;
  const copy = isId(of)
    ? await tx.copies.get(of as CopyId)
    : (await tx.copies.where({ name: of }))[0];
  if (copy === undefined) return { asked, found: 'unknown' };
  if (!copy.hosts.includes(hostName)) return { asked, found: 'not_mapped' };
  return { asked, found: 'copy', copy, volume };
}

export function sayFollowedCopy(
  { asked, copy, volume: wanted }: FoundCopy,
  here: SiteId,
  { copies }: GroupInspection,
): FollowedVolume {
  const opened = copies.find(({ copyId }) => copyId === copy.id);
  const volume = opened?.volumes.find((v) => v.name === wanted || v.volumeId === wanted);
  if (opened === undefined || volume === undefined) return { asked, found: 'unknown' };
  const { address, dataPlane, pid } = opened;
  const id = historyOfCopy(copy);
  const isOpen = copy.state === 'open' && dataPlane === 'running' && address !== undefined;
  const exportName = followedName(volume.name, id);
  return {
    asked,
    found: 'here',
    reference: `${copy.id}/${volume.volumeId}`,
    volumeId: idOf(copy.id, volume.volumeId),
    name: `${copy.name}.${volume.name}`,
    sizeBytes: volume.sizeBytes,
    groupId: copy.groupId,
    holder: here,
    epoch: 1,
    history: { id },
    serves: isOpen ? { ...address, exportName, tlsName: here, instance: `${pid}` } : undefined,
  };
}

/** To a host it is another volume than the one that it shows: the same id whenever it asks. */
function idOf(copyId: CopyId, volumeId: VolumeId): VolumeId {
  const hex = createHash('sha256').update(`${copyId}/${volumeId}`).digest('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`];
  return [...parts, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-') as VolumeId;
}
