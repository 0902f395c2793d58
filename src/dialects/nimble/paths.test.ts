import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { memoryWorld } from '../../../test/support/memory-site.ts';
import { nimbleApi } from '../../../test/support/nimble-api.ts';
import type { NimbleApi } from '../../../test/support/nimble-api.ts';

const SOME_ID = `40${'0'.repeat(40)}`;

async function paris(t: TestContext): Promise<NimbleApi> {
  return nimbleApi(t, await memoryWorld(t).addSite('paris'));
}

test('the versions are told to everybody', async (t) => {
  const { send } = await paris(t);

  const { status, rows } = await send('GET', '/versions', undefined, '');

  assert.equal(status, 200);
  assert.deepEqual(
    rows.map((row) => row['name']),
    ['v1'],
  );
});

test('what is not there is refused with the code that says which part of it is not', async (t) => {
  const { send } = await paris(t);
  const cases: readonly [method: string, path: string, status: number, code: string][] = [
    ['GET', '/v2/tokens', 404, 'SM_version_name'],
    ['GET', '/', 404, 'SM_version_name'],
    ['GET', '/v1', 404, 'SM_no_path_found'],
    ['GET', '/v1/spoons', 404, 'SM_no_path_found'],
    ['GET', `/v1/tokens/${SOME_ID}/actions`, 404, 'SM_no_path_found'],
    ['GET', `/v1/tokens/${SOME_ID}/actions/bend`, 404, 'SM_no_method_for_URL_pattern'],
    ['POST', `/v1/tokens/${SOME_ID}/actions/bend`, 404, 'SM_no_action_found'],
    ['DELETE', '/v1/tokens', 404, 'SM_no_method_for_URL_pattern'],
    ['PUT', `/v1/tokens/${SOME_ID}`, 404, 'SM_no_operation_found'],
    ['GET', '/v1/tokens/xyz', 400, 'SM_invalid_path_variable'],
    ['GET', `/v1/tokens/${SOME_ID}`, 404, 'SM_enoent'],
    ['GET', '/v1/tokens/%zz', 400, 'SM_malformed_url'],
    ['GET', '/v1/tokens?colour=red', 400, 'SM_unexpected_query_param'],
    ['GET', '/v1/tokens?fields=id', 400, 'SM_unexpected_query_param'],
    ['GET', '/v1/tokens/detail?fields=colour', 400, 'SM_invalid_query_param'],
    ['GET', '/v1/tokens?startRow=x', 400, 'SM_invalid_query_param'],
    ['GET', '/v1/tokens?startRow=2&endRow=1', 400, 'SM_start_row_beyond_end_row'],
    ['GET', '/v1/tokens?startRow=9', 200, 'SM_start_row_beyond_total_rows'],
    ['GET', '/v1/tokens?pageSize=1025', 206, 'SM_too_large_page_size'],
  ];

  for (const [method, path, status, code] of cases) {
    const answer = await send(method, path);
    assert.equal(answer.codes[1], code, `${method} ${path}: ${answer.text}`);
    assert.equal(answer.status, status, `${method} ${path}`);
  }
});

test('a body that does not fit is refused by its argument', async (t) => {
  const { send } = await paris(t);
  const fitting = { username: 'a', password: 'b' };
  const cases: readonly [body: unknown, code: string, named: object | undefined][] = [
    [{}, 'SM_missing_arg', { arg: 'username' }],
    [{ data: { username: 'a' } }, 'SM_missing_arg', { arg: 'password' }],
    [{ data: { ...fitting, colour: 1 } }, 'SM_unexpected_arg', { arg: 'colour' }],
    [{ data: { ...fitting, username: [] } }, 'SM_invalid_arg_value', { arg: 'username' }],
    [{ data: { ...fitting, username: {} } }, 'SM_unexpected_child', { arg: 'username' }],
    [{ data: fitting, more: 1 }, 'SM_unexpected_child', { child: 'more' }],
    [{ data: [] }, 'SM_invalid_arg_value', { arg: 'data' }],
    [[], 'SM_invalid_arg_value', undefined],
  ];

  for (const [body, code, named] of cases) {
    const answer = await send('POST', 'tokens', body, '');
    const messages = answer.body['messages'] as readonly { readonly arguments?: object }[];
    assert.deepEqual(answer.codes, ['SM_http_bad_request', code], answer.text);
    assert.deepEqual(messages[1]?.arguments, named);
  }
});

test('a list is shown in parts, in the order that is asked for', async (t) => {
  const { call, tokenOf } = await paris(t);
  for (const role of ['viewer', 'dr_operator'] as const) await tokenOf(role);

  const names = async (query: string) => {
    const { status, rows, body } = await call('GET', `tokens/detail?${query}`);
    return [status, rows.map((r) => r['username']), body['endRow'], body['totalRows']];
  };

  const all = ['administrator', 'viewer', 'dr_operator'];
  assert.deepEqual(await names(''), [200, all, 3, 3]);
  assert.deepEqual(await names('sortBy=-username'), [200, all.toSorted().toReversed(), 3, 3]);
  assert.deepEqual(await names('startRow=1&pageSize=1'), [206, ['viewer'], 2, 3]);
  assert.deepEqual(await names('startRow=2&endRow=9'), [206, ['dr_operator'], 3, 3]);
  assert.deepEqual(await names('startRow=3'), [206, [], 3, 3]);
  assert.deepEqual(await names('username=viewer&fields=username'), [200, ['viewer'], 1, 1]);
});
