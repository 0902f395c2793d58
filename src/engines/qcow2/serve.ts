import type { HostAccess, ServedGroup } from '../../ports/engine.ts';
import { Failure } from '../../domain/refusal.ts';
import { closeExports, reopenNodes } from '../qmp/commands.ts';
import { QmpTimeout } from '../qmp/errors.ts';
import { queryExports } from '../qmp/queries.ts';
import { DaemonHung } from './daemon.ts';
import { enter, enterRunning } from './enter.ts';
import { HOST_EXPORT, closeExportsOf, hostExports, openExports } from './exports.ts';
import type { VolumeExport } from './exports.ts';
import type { Group } from './group.ts';
import type { ImportingVolume } from './import-record.ts';
import type { QmpClient } from '../qmp/client.ts';
import { endHolding } from './mirror-hold.ts';
import { layerNode, reopenOptions } from './nodes.ts';
import { readGraph } from './graph.ts';
import { admittedNow, closeServer, openServer } from './nbd-server.ts';
import { activeLayer, layerBelow, presentVolumes } from './record.ts';
import type { GroupRecord } from './record.ts';

export function serve(group: Group, { hosts, history }: HostAccess): Promise<ServedGroup> {
  return group.locked(async () => {
    const { address, tls } = group.site.options;
    const { hasPresent, importing } = await group.record();
    if (!hasPresent && !importing) {
      throw new Failure(`group ${group.id} has no present to serve`);
    }
    const entered = await enterRunning(group);
    const { qmp } = entered.daemon;
    // The site itself reads what its hosts have, where it compares that with a mirror's other end.
    const own = tls.peerDistinguishedName(tls.tlsName);
    const admitted = [...hosts.map((name) => tls.hostDistinguishedName(name)), own];
    const before = (await admittedNow(qmp, 'hosts')) ?? [];
    // Only closing all exports parts a host from them; the others come back by themselves.
    if (before.some((name) => !admitted.includes(name))) await closeExportsOf(qmp, HOST_EXPORT);
    const role = { audience: 'hosts', tlsDirectory: tls.siteDirectory, admitted } as const;
    const port = await openServer(group.serverPort, qmp, role);
    const volumes = [...presentVolumes(entered.record), ...writtenImports(entered.record)];
    const { nodes } = await readGraph(qmp);
    const exports = volumes.flatMap((volume) => hostExports(volume, history, nodes));
    await closeStaleExports(qmp, exports);
    await openExports(qmp, exports);
    return {
      host: address,
      port,
      exports: volumes.map(({ volumeId, name }) => ({ volumeId, exportName: name })),
    };
  });
}

/** A source that is only read is shown to nobody before it is ours. */
function writtenImports({ importing }: GroupRecord): readonly ImportingVolume[] {
  return (importing?.volumes ?? []).filter(({ from }) => !from.readOnly);
}

export function fence(group: Group): Promise<void> {
  return group.locked(async () => {
    const known = await group.record();
    try {
      const { record, daemon } = await enter(group);
      if (daemon) await fenceDaemon(group, daemon.qmp, record);
    } catch (cause) {
      // It waits for the other site with a host's write: that is never answered.
      const isHung = cause instanceof QmpTimeout || cause instanceof DaemonHung;
      if (!isHung || known.mirror?.holds !== true) throw cause;
      await endHolding(group, known);
    }
  });
}

/** Within the group's lock. */
export async function fenceDaemon(
  group: Group,
  qmp: QmpClient,
  record: GroupRecord,
): Promise<void> {
  await closeExportsOf(qmp, HOST_EXPORT);
  await flushPresent(group, qmp, record);
  if ((await admittedNow(qmp, 'hosts')) !== undefined) await closeServer(group.serverPort, qmp);
}

/** Writes out what the layers' caches hold: a write may be acknowledged before its metadata is. */
async function flushPresent(group: Group, qmp: QmpClient, record: GroupRecord): Promise<void> {
  const io = await group.site.io();
  const options = presentVolumes(record).map((volume) => {
    const active = activeLayer(volume);
    const below = layerBelow(volume, volume.layers.length - 1);
    return reopenOptions({
      node: layerNode(volume.key, active?.number ?? 0),
      backing: below ? layerNode(volume.key, below.number) : null,
      readOnly: false,
      io,
    });
  });
  await reopenNodes(qmp, options);
}

/** Exports of volumes that left the group, and of a history that was another one. */
async function closeStaleExports(qmp: QmpClient, wanted: readonly VolumeExport[]): Promise<void> {
  const ids = new Set(wanted.map(({ id }) => id));
  const open = (await queryExports(qmp)).filter(
    ({ id }) => id.startsWith(HOST_EXPORT) && !ids.has(id),
  );
  await closeExports(
    qmp,
    open.map(({ id }) => id),
  );
}
