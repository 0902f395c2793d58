/**
 * A copy of a point or a fork, in a daemon of its own:
 *
 *   export ─▶ scratch layer (writable) ─▶ the layers that it shows (read-only, also the group's)
 *
 *   scratch layers on disk ─ record the copy: from here on its layers are left alone ─ daemon ─
 *   nodes ─ server ─ exports
 *
 * The record says all that is needed to open it again, in this daemon or in another one.
 */
import type { HistoryId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import type { OpenCopy } from '../../ports/engine-copies.ts';
import type { ServedGroup } from '../../ports/engine.ts';
import type { QmpClient } from '../qmp/client.ts';
import { addNode } from '../qmp/commands.ts';
import { copyPort } from './copies.ts';
import { boundLog } from './daemon-process.ts';
import { enter } from './enter.ts';
import { HOST_EXPORT, closeExportsOf, copyExports, openExports } from './exports.ts';
import type { VolumeExport } from './exports.ts';
import { allOf, readGraph } from './graph.ts';
import type { Group } from './group.ts';
import { chainOf, shownHistory } from './histories.ts';
import { createLayers } from './layers.ts';
import type { WantedLayer } from './layers.ts';
import { admittedNow, openServer } from './nbd-server.ts';
import { layerNode, layerOptions } from './nodes.ts';
import { layerFile } from './record.ts';
import type { CopyChain, CopyRecord, GroupRecord } from './record.ts';

export function openCopy(group: Group, request: OpenCopy): Promise<ServedGroup> {
  return group.copies.run(async () => {
    const { copyId } = request;
    // A merge changes layers that the copy is about to read.
    const copy = await group.alone(['merge'], () => prepare(group, request));
    const seat = group.copySeat(copyId);
    const { qmp } = (await seat.find()) ?? (await seat.start());
    boundLog(seat.paths.log);
    await openLayers(group, qmp, copy);
    const port = await openDoor(group, qmp, copy);
    await openExports(qmp, exportsOf(copy, request.access.history), { writable: copy.writable });
    return {
      host: group.site.options.address,
      port,
      exports: copy.members.map(({ volumeId, name }) => ({ volumeId, exportName: name })),
    };
  });
}

/** Within the group's lock. @returns the copy as it is recorded now */
async function prepare(group: Group, request: OpenCopy): Promise<CopyRecord> {
  const { record } = await enter(group);
  const { copyId, of, writable } = request;
  const { hosts } = request.access;
  const known = record.copies.find((copy) => copy.copyId === copyId);
  if (!known) return make(group, record, request);
  const isSame = JSON.stringify([known.of, known.writable]) === JSON.stringify([of, writable]);
  if (!isSame) refuse({ code: 'already_exists', what: 'copy', name: copyId });
  if (JSON.stringify(known.hosts) === JSON.stringify(hosts)) return known;
  const changed = { ...known, hosts };
  const copies = record.copies.map((copy) => (copy === known ? changed : copy));
  await group.save({ ...record, copies });
  return changed;
}

async function make(
  group: Group,
  record: GroupRecord,
  { copyId, of, writable, access }: OpenCopy,
): Promise<CopyRecord> {
  const history = shownHistory(group.id, record, of);
  const number = record.nextLayer;
  const chains = history.members.map(({ volumeId }): CopyChain => ({
    volumeId,
    numbers: chainOf(record, history, volumeId).map((layer) => layer.number),
    scratch: writable ? number : undefined,
  }));
  if (writable) {
    const wanted = history.members.map((spec, at): WantedLayer => ({
      ...spec,
      number,
      below: chains[at]?.numbers.at(-1),
    }));
    await createLayers(group, wanted);
  }
  const { hosts } = access;
  const copy: CopyRecord = { ...history, copyId, of, writable, hosts, port: undefined, chains };
  await group.save({ ...record, nextLayer: number + 1, copies: [...record.copies, copy] });
  return copy;
}

/** Opens what the daemon lacks, from the lowest layer up. */
async function openLayers(group: Group, qmp: QmpClient, copy: CopyRecord): Promise<void> {
  const io = await group.site.io();
  const { nodes } = await readGraph(qmp);
  const steps = copy.chains.flatMap(({ volumeId, numbers, scratch }) => {
    const key = keyOf(copy, volumeId);
    const all = scratch === undefined ? numbers : [...numbers, scratch];
    return all.flatMap((number, index) => {
      const node = layerNode(key, number);
      if (nodes.has(node)) return [];
      const below = all[index - 1];
      const options = layerOptions({
        node,
        path: group.path(layerFile(volumeId, number)),
        backing: below === undefined ? null : layerNode(key, below),
        readOnly: number !== scratch,
        io,
      });
      return [addNode(qmp, options)];
    });
  });
  await allOf(steps);
}

async function openDoor(
  group: Group,
  qmp: QmpClient,
  { copyId, hosts }: CopyRecord,
): Promise<number> {
  const { tls } = group.site.options;
  const admitted = hosts.map((name) => tls.hostDistinguishedName(name));
  const before = (await admittedNow(qmp, 'hosts')) ?? [];
  // Only closing all exports parts a host from them; the others come back by themselves.
  if (before.some((name) => !admitted.includes(name))) await closeExportsOf(qmp, HOST_EXPORT);
  return openServer(copyPort(group, copyId), qmp, {
    audience: 'hosts',
    tlsDirectory: tls.siteDirectory,
    admitted,
  });
}

function exportsOf(copy: CopyRecord, history: HistoryId | undefined): readonly VolumeExport[] {
  return copy.members.flatMap(({ volumeId, name }) => {
    const chain = copy.chains.find((one) => one.volumeId === volumeId);
    const key = keyOf(copy, volumeId);
    const node = layerNode(key, chain?.scratch ?? chain?.numbers.at(-1) ?? 0);
    return copyExports({ key, name }, history, node);
  });
}

function keyOf({ volumes }: CopyRecord, volumeId: CopyChain['volumeId']): number {
  return volumes.find((volume) => volume.volumeId === volumeId)?.key ?? 0;
}
