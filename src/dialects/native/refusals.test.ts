import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify from 'fastify';
import { newId } from '../../domain/ids.ts';
import type { GroupId, PointId, SagaId, SiteId } from '../../domain/ids.ts';
import { Failure, Refusal, sentence } from '../../domain/refusal.ts';
import type { Reason, ReasonCode } from '../../domain/refusal.ts';
import { answerProblems } from './problems.ts';
import type { Problem } from './problems.ts';

const groupId = newId<GroupId>();
const siteId = newId<SiteId>();
const sagaId = newId<SagaId>();

/** One of each, and the status that it must have. */
const examples: { readonly [C in ReasonCode]: readonly [number, Reason & { readonly code: C }] } = {
  invalid: [400, { code: 'invalid', field: 'name', wanted: 'a name', seen: '""' }],
  not_found: [404, { code: 'not_found', what: 'volume', id: 'v1' }],
  already_exists: [409, { code: 'already_exists', what: 'group', name: 'orders' }],
  limit_reached: [409, { code: 'limit_reached', what: 'volumes per group', limit: 256 }],
  unauthenticated: [401, { code: 'unauthenticated', why: 'no token' }],
  forbidden: [403, { code: 'forbidden', needed: 'storage', role: 'viewer' }],
  too_many_logins: [429, { code: 'too_many_logins', retryAfterSeconds: 17 }],
  wrong_state: [
    409,
    {
      code: 'wrong_state',
      what: 'replication_session',
      id: 's1',
      state: 'paused',
      event: 'pause',
      allowedIn: ['ok'],
    },
  ],
  operation_running: [409, { code: 'operation_running', groupId, sagaId, kind: 'handover' }],
  not_holder: [409, { code: 'not_holder', groupId, holder: siteId, epoch: 2 }],
  stale_epoch: [409, { code: 'stale_epoch', groupId, seenEpoch: 1, ownEpoch: 2 }],
  not_protected: [409, { code: 'not_protected', groupId }],
  already_protected: [409, { code: 'already_protected', groupId, sessionId: 's1' }],
  peer_unreachable: [503, { code: 'peer_unreachable', siteId, detail: 'no answer' }],
  source_unreachable: [503, { code: 'source_unreachable', source: 'old', detail: 'no answer' }],
  peer_untrusted: [409, { code: 'peer_untrusted', detail: 'another certificate' }],
  peer_in_use: [409, { code: 'peer_in_use', siteId, groups: 2 }],
  no_space: [507, { code: 'no_space', siteId, neededBytes: 10, freeBytes: 5 }],
  point_missing: [404, { code: 'point_missing', groupId, pointId: newId<PointId>() }],
  no_common_point: [409, { code: 'no_common_point', groupId, siteId }],
  confirmation_needed: [
    409,
    { code: 'confirmation_needed', token: 'a1b2c3', consequence: 'the last 7 s are lost' },
  ],
  in_use: [409, { code: 'in_use', what: 'host', id: 'app1', by: 'group orders' }],
  past_point_of_no_return: [409, { code: 'past_point_of_no_return', sagaId, kind: 'handover' }],
  aborted: [409, { code: 'aborted', sagaId, by: 'admin' }],
  freeze_too_long: [503, { code: 'freeze_too_long', groupId, pauseMs: 3000, limitMs: 2000 }],
  busy: [409, { code: 'busy', groupId, doing: 'sealing' }],
  unsupported: [422, { code: 'unsupported', what: 'this', why: 'that' }],
};

async function answerTo(error: Error): Promise<{
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly problem: Problem;
  readonly logged: readonly object[];
}> {
  const http = Fastify();
  const logged: object[] = [];
  answerProblems(http, { error: (line) => logged.push(line) });
  http.get('/', () => {
    throw error;
  });
  const answer = await http.inject('/');
  await http.close();
  const { statusCode: status, headers } = answer;
  return { status, headers, problem: answer.json<Problem>(), logged };
}

for (const [code, [status, reason]] of Object.entries(examples)) {
  test(`${code} is answered with ${status} as a problem, and logged as nobody's fault`, async () => {
    const answer = await answerTo(new Refusal(reason));

    assert.equal(answer.status, status);
    assert.match(String(answer.headers['content-type']), /^application\/problem\+json/);
    assert.equal(answer.problem.status, status);
    assert.equal(answer.problem.type, `urn:baton:problem:${code.replaceAll('_', '-')}`);
    assert.equal(answer.problem.detail, sentence(reason));
    assert.deepEqual(answer.problem.reason, reason);
    assert.deepEqual(answer.logged, []);
  });
}

test('what HTTP wants beside a refusal is there', async () => {
  const [, login] = examples.too_many_logins;
  assert.equal((await answerTo(new Refusal(login))).headers['retry-after'], '17');
  const [, stranger] = examples.unauthenticated;
  const { headers } = await answerTo(new Refusal(stranger));
  assert.equal(headers['www-authenticate'], 'Bearer realm="baton"');
});

test('a defect tells the caller a request id, and the log everything', async () => {
  const error = new TypeError('/secret/path is undefined');

  const answer = await answerTo(error);

  assert.equal(answer.status, 500);
  assert.equal(JSON.stringify(answer.problem).includes('secret'), false);
  assert.match(answer.problem.detail, new RegExp(answer.problem.instance));
  assert.deepEqual(answer.logged, [
    { event: 'request_failed', requestId: answer.problem.instance, what: 'GET /', error },
  ]);
});

test('a failure of the world is 503, and its words stay in the log', async () => {
  const answer = await answerTo(new Failure('qmp socket /run/x: EPIPE'));

  assert.equal(answer.status, 503);
  assert.equal(JSON.stringify(answer.problem).includes('qmp'), false);
  assert.equal(answer.logged.length, 1);
});
