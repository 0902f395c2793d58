/**
 * Ending a daemon that holds its hosts: it waits for the other site with their writes, and would
 * answer them when asked to end the mirror. So it is not asked. What hosts were answered for is
 * written out before, as far as it lets that happen; their writes that wait were answered nowhere.
 */
import { connectNbd } from '../nbd/connection.ts';
import { killDaemon } from './daemon.ts';
import type { Group } from './group.ts';
import { presentVolumes } from './record.ts';
import type { GroupRecord } from './record.ts';
import { siteTls } from './target-probe.ts';

const FLUSH_LIMIT_MS = 1_000;

/** Within the group's lock. On return no daemon runs. */
export async function endHolding(group: Group, record: GroupRecord): Promise<void> {
  const volumes = presentVolumes(record);
  const flushed = await Promise.all(volumes.map(({ name }) => flush(group, name).catch(notDone)));
  group.site.options.log?.warn({
    event: 'daemon_that_held_ended',
    groupId: group.id,
    flushed: flushed.every(Boolean),
  });
  await killDaemon(group.seat.paths, group.site.options.clock);
  group.seat.release();
}

async function flush(group: Group, exportName: string): Promise<boolean> {
  const { address: host } = group.site.options;
  const port = await group.serverPort.current();
  if (port === undefined) return false;
  const volume = await connectNbd({
    address: { host, port },
    exportName,
    tls: await siteTls(group),
    connectTimeoutMs: FLUSH_LIMIT_MS,
    stallTimeoutMs: FLUSH_LIMIT_MS,
  });
  try {
    await volume.flush();
    return true;
  } finally {
    volume.destroy();
  }
}

function notDone(): boolean {
  return false;
}
