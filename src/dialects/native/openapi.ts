import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';

const Problem = Type.Object(
  {
    type: Type.String({ format: 'uri' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: "The operator's sentence." }),
    instance: Type.String({ description: "The request's id, as in the site's log." }),
    reason: Type.Optional(
      Type.Object(
        { code: Type.String() },
        { additionalProperties: true, description: 'The facts, for programs.' },
      ),
    ),
  },
  { description: 'RFC 9457.' },
);

/** Describes each route that is registered after this, from the schemas that check it. */
export async function describeApi(http: FastifyInstance): Promise<void> {
  await http.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Baton',
        version: '1',
        description: 'Disaster recovery for block storage: planned handover of volume groups.',
      },
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      },
      security: [{ token: [] }],
    },
    transform: ({ schema, url, route }) => ({
      url,
      schema: {
        ...schema,
        ...(route.config?.needs === 'nothing' && { security: [] }),
        response: {
          ...(schema.response as object | undefined),
          default: {
            description: 'A problem.',
            content: { 'application/problem+json': { schema: Problem } },
          },
        },
      },
    }),
  });
  http.get('/openapi.json', { config: { needs: 'nothing' }, schema: { hide: true } }, () =>
    http.swagger(),
  );
}
