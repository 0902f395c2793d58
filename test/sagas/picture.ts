/** All that two sites know and hold, without what differs from run to run: ids, times, processes. */
import type { GroupId, PointId } from '../../src/domain/ids.ts';
import type { Transaction } from '../../src/ports/store.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';
import { hashContent } from '../support/volume-content.ts';

export interface Picture {
  readonly paris: SitePicture;
  readonly lyon: SitePicture;
}

export interface SitePicture {
  readonly groups: readonly GroupPicture[];
  readonly volumes: readonly string[];
  readonly sessions: readonly SessionPicture[];
  readonly points: readonly string[];
  readonly forks: readonly string[];
  readonly copies: readonly string[];
  readonly drills: readonly string[];
  readonly policies: readonly string[];
  readonly imports: readonly string[];
  readonly held: readonly HeldPicture[];
}

interface GroupPicture {
  readonly name: string;
  readonly volumes: readonly string[];
  readonly hosts: readonly string[];
  readonly policy: string | undefined;
  readonly holder: string;
  readonly epoch: number;
  readonly forced: boolean;
  /** As both sites say it, and until when, as the holder does. */
  readonly provisional: readonly [boolean, boolean];
  readonly locked: boolean;
  readonly fenced: boolean;
  readonly importing: boolean;
  readonly standsOn: number | undefined;
}

interface SessionPicture {
  readonly group: string;
  readonly role: string;
  readonly state: string;
  readonly parked: boolean;
  readonly cycling: boolean;
  /** Of a synchronous one. */
  readonly condition: string | undefined;
}

/** What the engine keeps of a group. */
interface HeldPicture {
  readonly group: string;
  readonly serving: boolean;
  readonly receiving: boolean;
  readonly sending: boolean;
  readonly mirroring: boolean;
  readonly standingBy: boolean;
  readonly points: readonly (number | string)[];
  readonly forks: number;
  readonly copies: readonly string[];
  /** Of each volume of the present, by name: its order means nothing. */
  readonly present: readonly string[] | undefined;
}

export async function pictureOf({ paris, lyon }: MemoryPair): Promise<Picture> {
  return { paris: await siteOf(paris, lyon), lyon: await siteOf(lyon, paris) };
}

async function siteOf(site: MemorySite, other: MemorySite): Promise<SitePicture> {
  const groupIds = await site.engine.groups();
  const inspections = await Promise.all(groupIds.map((id) => site.engine.inspect(id)));
  const nameOfSite = (id: string): string => (id === site.id ? site.name : other.name);
  return site.ports.store.read(async (tx) => {
    const groups = await tx.groups.all();
    const points = await tx.points.all();
    const volumes = await tx.volumes.all();
    const policies = await tx.policies.all();
    const rules = await tx.rules.all();
    const nameOf = (id: GroupId): string => groups.find((g) => g.id === id)?.name ?? 'unknown';
    const sequenceOf = (id: PointId): number | string =>
      points.find((p) => p.id === id)?.sequence ?? 'unknown';
    return {
      groups: groups.map((group) => ({
        name: group.name,
        volumes: group.volumeIds.map((id) => volumes.find((v) => v.id === id)?.name ?? 'unknown'),
        hosts: group.hosts,
        policy: policies.find((p) => p.id === group.policyId)?.name,
        holder: nameOfSite(group.ownership.holder),
        epoch: group.ownership.epoch,
        forced: group.ownership.forced,
        provisional: [group.ownership.provisional === true, group.window !== undefined],
        locked: group.operation !== undefined,
        fenced: group.fencedBy !== undefined,
        importing: group.importing !== undefined,
        standsOn: group.standsOn && Number(sequenceOf(group.standsOn)),
      })),
      volumes: volumes.map((v) => `${v.name} ${v.sizeBytes} ${v.state} in ${nameOf(v.groupId)}`),
      sessions: await sessionsOf(tx, nameOf),
      points: points.map(
        (p) =>
          `${nameOf(p.groupId)} ${p.sequence} ${p.commonAt === undefined ? 'here' : 'common'} ` +
          p.volumes.map((v) => `${v.name}:${v.sizeBytes}`).join(','),
      ),
      forks: (await tx.forks.all()).map((f) => `${nameOf(f.groupId)} ${f.origin}`),
      drills: (await tx.drills.all()).map(
        ({ groupId, report }) => `${nameOf(groupId)} ${report.verdict} ${report.ended}`,
      ),
      policies: [...policies, ...rules].map(
        ({ name, replicaOf }) => `${name}${replicaOf === undefined ? '' : ' of the other site'}`,
      ),
      imports: (await tx.imports.all()).map(
        (s) =>
          `${s.name} ${s.state} ${s.comparison?.hash === undefined ? '' : 'compared'}` +
          (s.unreadable === undefined ? '' : 'examined'),
      ),
      copies: (await tx.copies.all()).map(
        (c) => `${c.name} ${c.purpose} ${c.state} to ${c.hosts.join(',')}`,
      ),
      held: inspections
        .map((seen) => ({
          group: nameOf(seen.groupId),
          serving: seen.serving,
          receiving: seen.receiving !== undefined,
          sending: seen.sending !== undefined,
          mirroring: site.engine.held(seen.groupId)?.mirror !== undefined,
          standingBy: site.engine.held(seen.groupId)?.standby !== undefined,
          points: heldPoints(site, seen.groupId).map(sequenceOf),
          forks: seen.forks.length,
          copies: seen.copies.map((c) => `${c.dataPlane} ${c.writtenBytes}`),
          present: presentOf(site, seen.groupId),
        }))
        .toSorted((a, b) => a.group.localeCompare(b.group)),
    };
  });
}

async function sessionsOf(
  tx: Transaction,
  nameOf: (id: GroupId) => string,
): Promise<readonly SessionPicture[]> {
  return (await tx.sessions.all()).map(({ groupId, role, state, parkedBecause, cycle, sync }) => ({
    group: nameOf(groupId),
    role,
    state,
    parked: parkedBecause !== undefined,
    cycling: cycle !== undefined,
    condition: sync?.condition.state,
  }));
}

function heldPoints({ engine }: MemorySite, groupId: GroupId): readonly PointId[] {
  return engine.held(groupId)?.points.map(({ sealed }) => sealed.pointId) ?? [];
}

function presentOf({ engine }: MemorySite, groupId: GroupId): readonly string[] | undefined {
  const present = engine.held(groupId)?.present;
  if (present === undefined) return undefined;
  const volumes = [...present.values()].map(
    (v) => `${v.name} ${v.sizeBytes} ${hashContent(v).hash}`,
  );
  return volumes.toSorted();
}
