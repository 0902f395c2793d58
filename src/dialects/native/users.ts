import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { roles } from '../../domain/user.ts';
import type { User as UserRow } from '../../domain/user.ts';
import type { DialectOptions } from '../options.ts';
import { userIdOf } from './references.ts';
import { Instant, Name, PageOf, Paging, Reference, Uuid, iso, object, page } from './schemas.ts';

const Role = Type.Enum([...roles]);
const User = Type.Object({ id: Uuid, name: Type.String(), role: Role, createdAt: Instant });
const Password = Type.String({ minLength: 8, maxLength: 256 });
const ByUser = Type.Object({ user: Reference });
const tags = ['users'];

function sayUser({ id, name, role, createdAt }: UserRow): Static<typeof User> {
  return { id, name, role, createdAt: iso(createdAt) };
}

export const users: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.get(
    '/users',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'List users',
        querystring: object(Paging),
        response: { 200: PageOf(User) },
      },
    },
    async ({ query }) => page(await app.listUsers(), query, sayUser),
  );

  http.post(
    '/users',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Make a user',
        body: object({ name: Name, password: Password, role: Role }),
        response: { 201: User },
      },
    },
    async ({ body }, reply) => {
      const user = await app.createUser(body);
      reply.code(201);
      return sayUser(user);
    },
  );

  http.patch(
    '/users/:user',
    {
      config: { needs: 'administer' },
      schema: {
        tags,
        summary: 'Give a user another password; their tokens end',
        params: ByUser,
        body: object({ password: Password }),
        response: { 204: Type.Null() },
      },
    },
    async ({ params, body: { password } }, reply) => {
      await app.changePassword({ userId: await userIdOf(app, params.user), password });
      return reply.code(204).send(null);
    },
  );

  http.delete(
    '/users/:user',
    {
      config: { needs: 'administer' },
      schema: { tags, summary: 'Delete a user', params: ByUser, response: { 204: Type.Null() } },
    },
    async ({ params }, reply) => {
      await app.deleteUser({ userId: await userIdOf(app, params.user) });
      return reply.code(204).send(null);
    },
  );
};
