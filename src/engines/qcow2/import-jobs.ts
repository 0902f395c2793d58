import type { QmpClient } from '../qmp/client.ts';
import { abortJob, concludeJob, tolerating } from '../qmp/commands.ts';
import { QmpTimeout } from '../qmp/errors.ts';
import { findJob, queryBlockJobs, queryJobs } from '../qmp/queries.ts';
import type { Job } from '../qmp/queries.ts';
import type { Group } from './group.ts';
import { IMPORT_JOB, KEEP_JOB } from './import-nodes.ts';
import type { Importing } from './import-record.ts';
import { cutLink } from './send-end.ts';

type OfSource = Pick<Importing, 'source'>;

/** A copy that is in step ends within milliseconds; one that does not is ended at once. */
const QUIET_LIMIT_MS = 5000;

/**
 * Ends the jobs of copies, those from the source and those to it. Of a source that is in trouble the connection is cut first: ending a job
 * waits for its requests, and the daemon with it.
 */
export async function endImportJobs(group: Group, qmp: QmpClient, of: OfSource): Promise<void> {
  const isOurs = ({ id }: { readonly id: string }): boolean =>
    id.startsWith(IMPORT_JOB) || id.startsWith(KEEP_JOB);
  const inTrouble = (await queryBlockJobs(qmp)).some((job) => isOurs(job) && job.ioStatus !== 'ok');
  if (inTrouble) await cutSource(group, of);
  for (const job of (await queryJobs(qmp)).filter(isOurs)) {
    if (!inTrouble && job.status === 'ready') await endQuietly(qmp, job);
    await abortJob(qmp, job);
  }
}

/**
 * Ends a copy that is in step once no write of a host is on its way in it. Ended at once it left
 * such a write to memory that was gone, and the daemon died (seen with QEMU 10.0.2).
 */
async function endQuietly(qmp: QmpClient, { id }: Job): Promise<void> {
  try {
    await tolerating(/not found|cannot accept command/, () =>
      qmp.execute('block-job-cancel', { device: id }),
    );
    await concludeJob(qmp, id, QUIET_LIMIT_MS);
  } catch (cause) {
    if (!(cause instanceof QmpTimeout)) throw cause;
  }
}

/**
 * Switches the volume to its copy. One whose job is not in step is ended instead: it may be told
 * already, which QEMU does not survive being told twice (10.0.2), or never get there.
 *
 * @returns why it was not switched, where that is known
 */
export async function completeInStep(
  qmp: QmpClient,
  { id, status }: Job,
  limitMs: number,
): Promise<string | undefined> {
  const blockJob = findJob(await queryBlockJobs(qmp), id);
  const isInStep = blockJob?.activelySynced === true && blockJob.ioStatus === 'ok';
  if (status === 'ready' && isInStep) {
    await qmp.execute('block-job-complete', { device: id }, limitMs);
  } else if (status !== 'concluded') {
    await abortJob(qmp, { id, status });
    return 'it was not in step any more';
  }
  return concludeJob(qmp, id, limitMs);
}

/** The daemon waits for its requests to a source that does not answer; so would whoever asks it. */
export async function cutSource(group: Group, { source }: OfSource): Promise<void> {
  const { endpoint } = source;
  if (endpoint.kind === 'nbd' || endpoint.kind === 'iscsi') {
    await cutLink(group, { host: endpoint.host, port: endpoint.port });
  }
}
