/** The commands that we use, each said once. Their meaning: the QEMU QMP reference. */
import type { QmpClient } from './client.ts';
import { QmpError } from './errors.ts';
import type { Fields } from './fields.ts';
import { findJob, queryExports, queryJobs } from './queries.ts';
import type { Job } from './queries.ts';
import { waitFor } from './wait.ts';

const CLOSE_LIMIT_MS = 10_000;
/** Opens a file, or connects and shakes hands over TLS. */
const OPEN_LIMIT_MS = 10_000;
const CONCLUDE_LIMIT_MS = 10_000;

export async function addNode(qmp: QmpClient, options: Fields): Promise<void> {
  await qmp.execute('blockdev-add', options, OPEN_LIMIT_MS);
}

/** Does nothing when there is no such node. */
export async function deleteNode(qmp: QmpClient, node: string): Promise<void> {
  await tolerating(/Failed to find node with node-name/, () =>
    qmp.execute('blockdev-del', { 'node-name': node }, CLOSE_LIMIT_MS),
  );
}

/** Flushes each node, and opens it with the new options: the full set, children by name. */
export async function reopenNodes(qmp: QmpClient, options: readonly Fields[]): Promise<void> {
  if (options.length > 0) await qmp.execute('blockdev-reopen', { options }, CLOSE_LIMIT_MS);
}

export async function addObject(
  qmp: QmpClient,
  type: string,
  id: string,
  properties: Fields,
): Promise<void> {
  await qmp.execute('object-add', { 'qom-type': type, id, ...properties });
}

/** Does nothing when there is no such object. */
export async function deleteObject(qmp: QmpClient, id: string): Promise<void> {
  await tolerating(/not found/, () => qmp.execute('object-del', { id }));
}

/** Closes exports without waiting for their clients; returns when no request is left in them. */
export async function closeExports(qmp: QmpClient, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const close = async (id: string): Promise<void> => {
    await tolerating(/is not found|already shutting down/, () =>
      qmp.execute('block-export-del', { id, mode: 'hard' }, CLOSE_LIMIT_MS),
    );
  };
  await Promise.all(ids.map(close));
  await waitFor(qmp, `exports ${ids.join(', ')} to close`, CLOSE_LIMIT_MS, async () => {
    const open = await queryExports(qmp);
    return open.some(({ id }) => ids.includes(id)) ? undefined : true;
  });
}

/** Waits for the end of a job, and takes it off the daemon's list. @returns its error, if any */
export async function concludeJob(
  qmp: QmpClient,
  id: string,
  limitMs: number = CONCLUDE_LIMIT_MS,
): Promise<string | undefined> {
  const ended = await waitFor(qmp, `job ${id} to end`, limitMs, async () => {
    const job = findJob(await queryJobs(qmp), id);
    if (job === undefined) return { error: undefined };
    return job.status === 'concluded' ? job : undefined;
  });
  await dismissJob(qmp, id);
  return ended.error;
}

/** Does nothing when there is no such job. */
export async function dismissJob(qmp: QmpClient, id: string): Promise<void> {
  await tolerating(/not found/, () => qmp.execute('job-dismiss', { id }));
}

/** Ends a job at once, whatever it did. It may wait for requests to a silent link: cut that first. */
export async function abortJob(qmp: QmpClient, job: Pick<Job, 'id' | 'status'>): Promise<void> {
  if (job.status !== 'concluded') {
    await tolerating(/not found|cannot accept command/, () =>
      qmp.execute('block-job-cancel', { device: job.id, force: true }),
    );
  }
  await concludeJob(qmp, job.id);
}

/** @returns false when the daemon refused with words like these */
export async function tolerating(words: RegExp, command: () => Promise<unknown>): Promise<boolean> {
  try {
    await command();
    return true;
  } catch (cause) {
    if (cause instanceof QmpError && words.test(cause.description)) return false;
    throw cause;
  }
}
