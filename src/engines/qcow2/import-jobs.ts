import type { QmpClient } from '../qmp/client.ts';
import { abortJob } from '../qmp/commands.ts';
import { queryBlockJobs, queryJobs } from '../qmp/queries.ts';
import type { Group } from './group.ts';
import { IMPORT_JOB } from './import-nodes.ts';
import type { Importing } from './import-record.ts';
import { cutLink } from './send-end.ts';

/**
 * Ends the copies' jobs. Of a source that is in trouble the connection is cut first: ending a job
 * waits for its requests, and the daemon with it.
 */
export async function endImportJobs(
  group: Group,
  qmp: QmpClient,
  importing: Importing,
): Promise<void> {
  const isOurs = ({ id }: { readonly id: string }): boolean => id.startsWith(IMPORT_JOB);
  const inTrouble = (await queryBlockJobs(qmp)).some((job) => isOurs(job) && job.ioStatus !== 'ok');
  if (inTrouble) await cutSource(group, importing);
  for (const job of (await queryJobs(qmp)).filter(isOurs)) await abortJob(qmp, job);
}

/** The daemon waits for its requests to a source that does not answer; so would whoever asks it. */
export async function cutSource(group: Group, { source }: Importing): Promise<void> {
  const { endpoint } = source;
  if (endpoint.kind === 'nbd' || endpoint.kind === 'iscsi') {
    await cutLink(group, { host: endpoint.host, port: endpoint.port });
  }
}
