/** A group of volumes on two sites, as the contract's sentences speak of it. */
import assert from 'node:assert/strict';
import { newId } from '../../src/domain/ids.ts';
import type { ForkId, GroupId, PointId, VolumeId } from '../../src/domain/ids.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import type { ReasonCode } from '../../src/domain/refusal.ts';
import type { SendWatch, SentPoint, ServedGroup, VolumeSpec } from '../../src/ports/engine.ts';
import type { ContractSite, HostVolume } from './contract-sites.ts';

export const MIB = 1024 * 1024;
export const BLOCK_BYTES = 4096;
export const HOST = 'app1';
const WRITES_AT_ONCE = 1000;
export const PAUSE_LIMIT_MS = 2000;

export const newPoint = (): PointId => newId<PointId>();
export const newFork = (): ForkId => newId<ForkId>();
export const newGroup = (): GroupId => newId<GroupId>();

export function newVolume(name: string, sizeBytes = 64 * MIB): VolumeSpec {
  return { volumeId: newId<VolumeId>(), name, sizeBytes };
}

export const watch: SendWatch = {
  onProgress: () => undefined,
  signal: new AbortController().signal,
};

export interface TestGroup {
  readonly groupId: GroupId;
  readonly volumes: readonly VolumeSpec[];
  readonly served: ServedGroup;
}

export async function servedGroup(
  { engine }: ContractSite,
  names: readonly string[] = ['data', 'log'],
): Promise<TestGroup> {
  const groupId = newGroup();
  const volumes = names.map((name) => newVolume(name));
  for (const volume of volumes) await engine.createVolume(groupId, volume);
  const served = await engine.serve(groupId, { hosts: [HOST] });
  return { groupId, volumes, served };
}

/** One block of a byte that tells blocks apart. */
export function block(tag: number): Buffer {
  return Buffer.alloc(BLOCK_BYTES, tag % 251 === 0 ? 251 : tag % 251);
}

export async function writeBlocks(
  volume: HostVolume,
  numbers: readonly number[],
  tag: number,
): Promise<void> {
  for (let first = 0; first < numbers.length; first += WRITES_AT_ONCE) {
    const some = numbers.slice(first, first + WRITES_AT_ONCE);
    await Promise.all(some.map((number) => volume.write(number * BLOCK_BYTES, block(tag))));
  }
  await volume.flush();
}

/** The tag of each block, or 0 for a block of zeros. */
export async function tagsOf(
  volume: HostVolume,
  numbers: readonly number[],
): Promise<readonly number[]> {
  return Promise.all(
    numbers.map(async (number) => {
      const bytes = await volume.read(number * BLOCK_BYTES, BLOCK_BYTES);
      const [tag = 0] = bytes;
      assert.deepEqual(bytes, Buffer.alloc(BLOCK_BYTES, tag), `block ${number} is torn`);
      return tag;
    }),
  );
}

export interface Replicated {
  readonly pointId: PointId;
  readonly sent: SentPoint;
}

/** Seals a point at one site, sends it and completes it at the other. */
export async function replicate(
  from: ContractSite,
  to: ContractSite,
  groupId: GroupId,
  basePointId?: PointId,
  pointId = newPoint(),
): Promise<Replicated> {
  const { volumes } = await from.engine.sealPoint(groupId, pointId, PAUSE_LIMIT_MS);
  const target = await to.engine.receivePoint({
    groupId,
    pointId,
    basePointId,
    peerId: from.siteId,
    volumes,
  });
  const sent = await from.engine.sendPoint(
    { groupId, pointId, basePointId, peerId: to.siteId, target, bytesPerSecond: undefined },
    watch,
  );
  await to.engine.completePoint(groupId, pointId, target.instance);
  return { pointId, sent };
}

/** What a handover does before hosts wait: all that the next point and its promotion need. */
export async function prepareNext(
  from: ContractSite,
  to: ContractSite,
  groupId: GroupId,
  basePointId: PointId,
  pointId: PointId,
): Promise<void> {
  const { volumes } = await from.engine.sealPoint(groupId, basePointId, PAUSE_LIMIT_MS);
  const common = { groupId, pointId, basePointId };
  const place = { ...common, peerId: from.siteId, volumes, promotesNext: true };
  const target = await to.engine.receivePoint(place);
  const send = { ...common, peerId: to.siteId, target, bytesPerSecond: undefined };
  await from.engine.prepareSend(send);
}

/** Both sites have the point, with the same bytes. */
export async function assertSame(
  a: ContractSite,
  b: ContractSite,
  groupId: GroupId,
  pointId: PointId,
): Promise<void> {
  const [here, there] = await Promise.all([
    a.engine.hashPoint(groupId, pointId),
    b.engine.hashPoint(groupId, pointId),
  ]);
  assert.deepEqual(there, here);
}

/** Attaches, does the work, and leaves. */
export async function asHost<T>(
  site: ContractSite,
  served: Pick<ServedGroup, 'host' | 'port'>,
  exportName: string,
  work: (volume: HostVolume) => Promise<T>,
): Promise<T> {
  const volume = await site.attach(served, exportName, HOST);
  try {
    return await work(volume);
  } finally {
    await volume.disconnect();
  }
}

export function refusal(code: ReasonCode): (reason: unknown) => boolean {
  return (reason) => reason instanceof Refusal && reason.reason.code === code;
}
