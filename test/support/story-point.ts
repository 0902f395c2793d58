/** What a recovery point holds, read from the files that a site keeps, not through the site. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import { startStorageDaemon, temporaryDirectory } from './nbd-servers.ts';
import { groupDirectory } from './story-site.ts';
import type { StorySite } from './story-site.ts';

/**
 * Opens a volume as it is in the newest point that a destination has; nothing may be on its way
 * there meanwhile. Ends with the test.
 */
export async function openNewestPoint(
  dir: string,
  site: StorySite,
  group: string,
  volume: string,
): Promise<NbdConnection> {
  const layers = groupDirectory(dir, site.name, await site.group(group));
  const { id } = await site.volume(volume);
  const numbers = (await readdir(layers))
    .filter((file) => file.startsWith(`${id}.`))
    .map((file) => Number(file.split('.')[1]));
  const newest = join(layers, `${id}.${Math.max(...numbers)}.qcow2`);
  const directory = await temporaryDirectory();
  const socketPath = join(directory, 'nbd.sock');
  const node = {
    driver: 'qcow2',
    'node-name': 'n0',
    'read-only': true,
    file: { driver: 'file', filename: newest },
  };
  await startStorageDaemon(directory, [
    ['--blockdev', JSON.stringify(node)],
    ['--nbd-server', `addr.type=unix,addr.path=${socketPath}`],
    ['--export', 'nbd,id=e0,node-name=n0,name=point'],
  ]);
  return connectNbd({ address: { socketPath }, exportName: 'point' });
}
