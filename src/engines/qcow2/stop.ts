import { rm } from 'node:fs/promises';
import { killDaemon, quitDaemon, DaemonHung } from './daemon.ts';
import { QmpTimeout } from '../qmp/errors.ts';
import { queryJobs } from '../qmp/queries.ts';
import type { Group } from './group.ts';
import { EMPTY_RECORD } from './record.ts';
import { MIRROR_JOB } from './mirror-end.ts';
import { cutLink } from './send-end.ts';
import { SEND_JOB } from './send-plan.ts';

/** Ends the daemon: in an orderly way if it answers, else by force. */
export async function stopGroup(group: Group): Promise<void> {
  await group.alone(['send', 'merge', 'hash'], () => stopDaemon(group));
}

/** Ends the daemon and removes all that there is of the group. */
export async function deleteGroup(group: Group): Promise<void> {
  await group.alone(['send', 'merge', 'hash'], async () => {
    await stopDaemon(group);
    if (await group.isKnown()) {
      // From here on nothing refers to the files.
      const { port } = await group.record();
      await group.save({ ...EMPTY_RECORD, port });
    }
    await rm(group.directory, { recursive: true, force: true });
    const { control, rescue, lock, pid, log } = group.paths;
    const files = [control, rescue, lock, pid, log, `${log}.old`];
    await Promise.all(files.map((file) => rm(file, { force: true })));
    await group.forget();
    await group.site.ports.give(group.id);
  });
}

/** Within the group's lock. */
async function stopDaemon(group: Group): Promise<void> {
  const { clock, log } = group.site.options;
  try {
    const daemon = await group.findDaemon();
    if (!daemon) return;
    const { sending, mirror } = await group.record();
    // The daemon waits for its copies' requests, which a silent link never answers.
    const jobs = await queryJobs(daemon.qmp);
    const sends = jobs.some(({ id }) => id.startsWith(SEND_JOB));
    if (sending && sends) await cutLink(group, sending.target);
    if (mirror && jobs.some(({ id }) => id.startsWith(MIRROR_JOB))) {
      await cutLink(group, mirror.target);
    }
    await quitDaemon(group.paths, daemon, clock);
  } catch (cause) {
    if (!(cause instanceof DaemonHung || cause instanceof QmpTimeout)) throw cause;
    log?.error({ event: 'daemon_killed', groupId: group.id, why: cause.message });
    await killDaemon(group.paths, clock);
  } finally {
    group.release();
  }
}
