/** A look at a group's daemon that asks nobody: its second monitor, which Baton leaves free. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { QmpClient } from '../../src/engines/qmp/client.ts';
import { queryJobs } from '../../src/engines/qmp/queries.ts';
import type { Job } from '../../src/engines/qmp/queries.ts';
import type { BatonSite } from './baton-pair.ts';

/** @returns undefined while no daemon runs */
export async function monitorOf(
  { directory }: Pick<BatonSite, 'directory'>,
  groupId: string,
): Promise<QmpClient | undefined> {
  const socket = join(directory, 'data', 'run', `${groupId}.rescue.sock`);
  return existsSync(socket) ? QmpClient.connect(socket) : undefined;
}

/** Copies and merges that run now. */
export async function jobsInDaemon(
  site: Pick<BatonSite, 'directory'>,
  groupId: string,
): Promise<readonly Job[]> {
  const qmp = await monitorOf(site, groupId);
  if (qmp === undefined) return [];
  try {
    return await queryJobs(qmp);
  } finally {
    qmp.close();
  }
}
