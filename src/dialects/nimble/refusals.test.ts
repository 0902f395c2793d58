import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../domain/ids.ts';
import type { GroupId, SagaId, SiteId } from '../../domain/ids.ts';
import type { Reason } from '../../domain/refusal.ts';
import { codes, protocolCodes } from './codes.ts';
import { said, wordsFor } from './refusals.ts';

test('every code has a status that the vendor has a word for', () => {
  for (const [code, [status]] of Object.entries(codes)) {
    assert.ok(protocolCodes[status], `${code} has HTTP ${status}`);
  }
});

test('a refusal is said by its facts where the vendor has several words for it', () => {
  const [groupId, siteId] = [newId<GroupId>(), newId<SiteId>()];
  const running = (kind: string): Reason => ({
    code: 'operation_running',
    groupId,
    sagaId: newId<SagaId>(),
    kind,
  });
  const cases: readonly [Reason, string][] = [
    [running('handover'), 'SM_repl_handover_busy'],
    [running('resize-volume'), 'SM_ebusy'],
    [{ code: 'not_found', what: 'peer', id: siteId }, 'SM_no_such_partner'],
    [{ code: 'not_found', what: 'volume', id: 'v' }, 'SM_enoent'],
    [{ code: 'not_holder', groupId, holder: siteId, epoch: 2 }, 'SM_not_owner'],
    [{ code: 'peer_unreachable', siteId, detail: '' }, 'SM_partner_offline'],
    [{ code: 'invalid', field: 'to', wanted: '', seen: '' }, 'SM_einval'],
    [{ code: 'invalid', field: 'name', wanted: '', seen: '' }, 'SM_invalid_arg_value'],
    [{ code: 'stale_epoch', groupId, seenEpoch: 1, ownEpoch: 2 }, 'SM_eagain'],
    [{ code: 'limit_reached', what: 'volume', limit: 256 }, 'SM_too_many'],
  ];

  for (const [reason, code] of cases) assert.equal(wordsFor(reason), code);
  for (const words of Object.values(said)) assert.ok(typeof words === 'function' || words in codes);
});
