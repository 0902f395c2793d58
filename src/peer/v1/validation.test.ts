import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify from 'fastify';
import { messages } from './messages.ts';
import { validatorCompiler } from './validation.ts';

test('a message is taken as it is, or refused with what does not fit, and not handled', async () => {
  const handled: unknown[] = [];
  const server = Fastify();
  server.setValidatorCompiler(validatorCompiler);
  server.post('/drop-fork', { schema: { body: messages['drop-fork'].body } }, ({ body }) => {
    handled.push(body);
    return {};
  });
  const send = (payload: object) => server.inject({ method: 'POST', url: '/drop-fork', payload });
  const forkId = '0c34d8ff-eb49-426d-a599-20711f961718';

  assert.equal((await send({ forkId })).statusCode, 200);
  const number = await send({ forkId: 7 });
  const none = await send({});
  const newer = await send({ forkId, more: 1 });

  assert.deepEqual(
    [number, none, newer].map(({ statusCode }) => statusCode),
    [400, 400, 400],
  );
  assert.match(number.json<{ message: string }>().message, /\/forkId must be string/);
  assert.match(none.json<{ message: string }>().message, /must have required properties forkId/);
  assert.deepEqual(handled, [{ forkId }]);
});
