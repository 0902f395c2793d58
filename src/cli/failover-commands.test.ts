import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { withOrders, worked } from '../../test/support/cli-world.ts';
import type { GroupId, VolumeId } from '../domain/ids.ts';

test('a failover needs the confirmation that its dry run prints', async (t) => {
  const { lyon$ } = await withOrders(t);

  const refused = await lyon$('group failover orders');
  assert.equal(refused.code, 3);
  const hint = /--confirm (?<token>\w+)/.exec(refused.err)?.groups?.['token'];
  const dry = worked(await lyon$('group failover orders --dry-run'));
  assert.match(dry, new RegExp(`^confirmation: +--confirm ${hint}$`, 'm'));

  assert.match(worked(await lyon$(`group failover orders --confirm ${hint}`)), /is held here/);
  assert.match(worked(await lyon$('group show orders')), /lyon \(here\), epoch 2, FORCED/);
  worked(await lyon$('group acknowledge orders'));
  assert.doesNotMatch(worked(await lyon$('group show orders')), /FORCED/);
  assert.equal(worked(await lyon$('fork list')), 'no forks\n');
});

test('at a terminal a failover is shown and asked about; --yes is for scripts', async (t) => {
  const { lyon$ } = await withOrders(t);

  const asked = { isInteractive: true, answers: ['n'] };
  const no = await lyon$('group failover orders', asked);
  assert.deepEqual([no.code, no.err.includes('nothing was done')], [130, true]);
  assert.match(no.err, /^lost writes: +writes of the last \d+ s$/m);
  assert.match(worked(await lyon$('group show orders')), /paris, epoch 1$/m);

  const yes = { isInteractive: true, answers: ['y'] };
  const taken = await lyon$('group failover orders --commit-after 1h', yes);
  assert.deepEqual([taken.code, taken.out.includes('is held here')], [0, true]);
  worked(await lyon$('group commit orders'));
  const { out } = await lyon$('group points orders -o json');
  const [point] = JSON.parse(out) as readonly { readonly id: string }[];
  const restore = `group restore orders --point ${point?.id}`;
  assert.equal((await lyon$(restore)).code, 3);
  assert.match(worked(await lyon$(`${restore} --yes`)), /is what it was then/);
  assert.match(worked(await lyon$(`${restore} --dry-run`)), /^should take: +\d+ s$/m);
});

test('a fork is discarded by whoever has seen that its bytes are nowhere else', async (t) => {
  const { paris$, json, paris } = await withOrders(t);
  const [group] = await json<readonly { id: GroupId }[]>('group list');
  const [volume] = await json<readonly { id: VolumeId }[]>('volume list');
  const [point] = await json<readonly { id: string }[]>('group points orders');
  assert.ok(group !== undefined && volume !== undefined);
  paris.engine.write(group.id, volume.id, 3, 7);
  worked(await paris$(`group restore orders --point ${point?.id} --yes`));
  const [fork] = await json<readonly { id: string }[]>('fork list');

  const unseen = await paris$(`fork discard ${fork?.id}`);
  assert.deepEqual([unseen.code, unseen.err.includes('deleted for good')], [3, true]);
  const seen = worked(await paris$(`fork discard ${fork?.id} --dry-run`));
  assert.match(seen, /^possible now: +yes$/m);
  const [, token = ''] = /--confirm (\w+)/.exec(seen) ?? [];
  assert.equal((await paris$(`fork discard ${fork?.id} --confirm ${token}x`)).code, 3);
  assert.notEqual(worked(await paris$('fork list')), 'no forks\n');

  worked(await paris$(`fork discard ${fork?.id} --confirm ${token}`));
  assert.equal(worked(await paris$('fork list')), 'no forks\n');
  assert.equal((await paris$(`fork discard ${fork?.id} --yes`)).code, 4);
});

test('a failover with a term is shown as provisional, and is committed or rolled back', async (t) => {
  const { lyon$, paris$ } = await withOrders(t);
  const dry = worked(await lyon$('group failover orders --dry-run'));
  const token = /--confirm (?<token>\w+)/.exec(dry)?.groups?.['token'];

  const done = worked(await lyon$(`group failover orders --commit-after 4h --confirm ${token}`));
  assert.match(done, /^for 4 h: baton group rollback orders, or commit orders$/m);
  const shown = worked(await lyon$('group show orders'));
  assert.match(shown, /epoch 2, FORCED, PROVISIONAL$/m);
  assert.match(
    shown,
    /^provisional: +it can be rolled back to paris until 2026-01-01 04:00:0\dZ$/m,
  );

  const blocked = await lyon$('group rollback orders --dry-run');
  assert.equal(blocked.code, 1);
  assert.match(blocked.out, /^in the way: +the other site has not set its own history aside yet$/m);
  assert.equal((await lyon$('group rollback orders')).code, 3);
  assert.equal((await lyon$('group reprotect orders')).code, 3);
  worked(await lyon$('group commit orders'));
  assert.doesNotMatch(worked(await lyon$('group show orders')), /PROVISIONAL/);
  assert.equal((await lyon$('group commit orders')).code, 3);
  assert.equal((await paris$('group commit orders')).code, 3);
});

test('a drill writes its report, which is verified offline and not when somebody changed it', async (t) => {
  const { lyon$, paris$, baton, directory } = await withOrders(t);
  const out = join(directory, 'drills');

  assert.equal((await paris$(`drill run orders --out ${out}`)).code, 3);
  const told = worked(await lyon$(`drill run orders --out ${out}`));
  assert.match(told, /^verdict: +passed$/m);
  assert.match(told, /^group +the same bytes at both sites +passed/m);
  assert.match(worked(await lyon$('drill list')), /orders +passed +3 +admin/);

  const files = [...told.matchAll(/^written: (?<file>.*)$/gm)].map(
    ({ groups }) => groups?.['file'] ?? '',
  );
  assert.equal(files.length, 2);
  for (const file of files) {
    const said = worked(await baton(['drill', 'verify', file]));
    assert.match(said, /^signed by: +site lyon, vouched for by ([0-9A-F]{2}:){31}[0-9A-F]{2}$/m);
    const changed = join(directory, 'changed');
    await writeFile(changed, (await readFile(file, 'utf8')).replaceAll('"admin"', '"nobody"'));
    const refused = await baton(['drill', 'verify', changed]);
    assert.deepEqual([refused.code, refused.err.includes('the report was changed')], [1, true]);
  }
});
