import { rm } from 'node:fs/promises';
import { queryJobs } from '../qmp/queries.ts';
import { endCopy } from './close-copy.ts';
import { removeRunFiles } from './daemon-process.ts';
import { endImportJobs } from './import-jobs.ts';
import type { Group } from './group.ts';
import { EMPTY_RECORD } from './record.ts';
import { MIRROR_JOB } from './mirror-end.ts';
import { cutLink } from './send-end.ts';
import { SEND_JOB } from './send-plan.ts';

/** Ends the group's daemon and those of its copies: in an orderly way if they answer, else by force. */
export function stopGroup(group: Group): Promise<void> {
  return group.copies.run(async () => {
    const { copies } = await group.record();
    for (const { copyId } of copies) await group.copySeat(copyId).end();
    await group.alone(['send', 'merge', 'hash'], () => stopDaemon(group));
  });
}

/** Ends the daemons and removes all that there is of the group. */
export function deleteGroup(group: Group): Promise<void> {
  return group.copies.run(async () => {
    for (const copy of (await group.record()).copies) await endCopy(group, copy.copyId);
    await group.alone(['send', 'merge', 'hash'], async () => {
      await stopDaemon(group);
      if (await group.isKnown()) {
        // From here on nothing refers to the files.
        const { port } = await group.record();
        await group.save({ ...EMPTY_RECORD, port });
      }
      await rm(group.directory, { recursive: true, force: true });
      await removeRunFiles(group.seat.paths);
      await group.forget();
      await group.site.ports.give(group.id);
    });
  });
}

/** Within the group's lock. */
function stopDaemon(group: Group): Promise<void> {
  return group.seat.end(async ({ qmp }) => {
    const { sending, mirror, importing, kept } = await group.record();
    // The daemon waits for its copies' requests, which a silent link never answers.
    const jobs = await queryJobs(qmp);
    const sends = jobs.some(({ id }) => id.startsWith(SEND_JOB));
    if (sending && sends) await cutLink(group, sending.target);
    if (mirror && jobs.some(({ id }) => id.startsWith(MIRROR_JOB))) {
      await cutLink(group, mirror.target);
    }
    const ofSource = importing ?? kept;
    if (ofSource) await endImportJobs(group, qmp, ofSource);
  });
}
