import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import type { StorySite } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';
import type { TwoSites } from '../support/two-sites.ts';

const ROUNDS = 25;
const MIB = 1024 * 1024;
const VOLUME_BYTES = 16 * MIB;

test('in 25 rounds of load, points and handovers the volumes are the same at either site, each time', async (t) => {
  const sites = await twoSites(t, { protecting: 'orders', volumeBytes: VOLUME_BYTES });
  const writer = await sites.startWriter({ volumes: volumesOf('orders'), writesPerSecond: 200 });

  for (let round = 1; round <= ROUNDS; round += 1) {
    const [holder, other] = await sites.holderFirst('orders');
    await moreWrites(writer, 50);
    await holder.synchronize('orders');
    await moreWrites(writer, 50);
    await holder.handOver('orders', other);
    const { holder: now, epoch } = await sites.agreement('orders');
    assert.deepEqual([now, epoch], [other.name, round + 1]);
    const { newestPoint } = await other.synchronize('orders');
    const id = newestPoint?.id ?? '';
    const [here, there] = [await digests(sites, other, id), await digests(sites, holder, id)];
    assert.deepEqual(here, there, `round ${round}`);
  }

  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});

/** MD5 of each volume at a point, read as a host reads it: from a copy that is opened beside the group. */
async function digests(
  sites: TwoSites,
  site: StorySite,
  point: string,
): Promise<Readonly<Record<string, string>>> {
  const path = '/groups/orders/copies';
  const name = `look-${site.name}`;
  await site.carryOut({
    method: 'POST',
    path,
    body: { name, point, writable: false, hosts: ['app1'] },
  });
  const copy = await site.get<OpenedCopy>(`/copies/${name}`);
  const seen: Record<string, string> = {};
  for (const { exportName, sizeBytes } of copy.volumes) {
    const { tlsName, address } = copy;
    const at = { ...address, exportName, sizeBytes, tlsName, serving: true };
    const host = await sites.connectAt(site, at);
    const hash = createHash('md5');
    for (let offset = 0; offset < sizeBytes; offset += MIB) {
      hash.update(await host.read(offset, MIB));
    }
    seen[exportName] = hash.digest('hex');
    await host.disconnect();
  }
  await site.carryOut({ method: 'DELETE', path: `/copies/${name}` });
  return seen;
}

interface OpenedCopy {
  readonly tlsName: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly volumes: readonly { readonly exportName: string; readonly sizeBytes: number }[];
}
