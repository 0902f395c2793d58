/** What an iSCSI portal is asked for, against a real target. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { discoverLuns } from '../../src/engines/iscsi/discover.ts';
import type { Portal } from '../../src/engines/iscsi/session.ts';
import { iscsiTarget } from '../support/story-targets.ts';
import type { IscsiTarget } from '../support/story-targets.ts';

const MIB = 1024 * 1024;

const directory = await mkdtemp(join(tmpdir(), 'baton-iscsi-'));
after(() => rm(directory, { recursive: true, force: true }));

function portalOf({ endpoint: { host, port }, user, password }: IscsiTarget): Portal {
  const chap = { user, secret: password };
  return { host, port, chap, initiatorName: 'iqn.2001-04.com.example:host', limitMs: 10_000 };
}

const unheard = (target: string, cause: unknown): void =>
  assert.fail(`${target}: ${String(cause)}`);

test('a target that does not answer takes nothing from what the others have, and is told', async () => {
  const portal = await iscsiTarget(join(directory, 'portal'), [MIB]);
  const gone = 'iqn.2001-04.com.example:gone';
  await portal.addMoved(gone, { host: '127.0.0.2', port: 1 });
  const failed: string[] = [];

  const found = await discoverLuns(portalOf(portal), (target) => void failed.push(target));

  assert.deepEqual(
    found.map(({ target }) => target),
    [portal.name],
  );
  assert.deepEqual(failed, [gone]);
});

test('a target that sends to another portal is asked there, and one that sends in circles is refused', async () => {
  const moved = await iscsiTarget(join(directory, 'moved'), [MIB]);
  const now = await iscsiTarget(join(directory, 'now'), [2 * MIB, 3 * MIB], '127.0.0.2');
  await moved.sendTo(now.endpoint);

  const found = await discoverLuns(portalOf(moved), unheard);

  assert.deepEqual(
    found.map(({ lun, sizeBytes }) => [lun, sizeBytes]),
    [
      [1, 2 * MIB],
      [2, 3 * MIB],
    ],
  );
  await now.sendTo(now.endpoint);
  await assert.rejects(
    discoverLuns(portalOf(moved), () => undefined),
    /sends to .* without end/,
  );
});
