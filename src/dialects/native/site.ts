import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { DialectOptions } from '../options.ts';
import { Uuid } from './schemas.ts';

const Site = Type.Object({
  id: Uuid,
  name: Type.String(),
  space: Type.Object({ totalBytes: Type.Integer(), freeBytes: Type.Integer() }),
});

export const site: FastifyPluginAsyncTypebox<DialectOptions> = async (http, { app }) => {
  http.get(
    '/site',
    {
      config: { needs: 'view' },
      schema: { tags: ['site'], summary: 'Show this site', response: { 200: Site } },
    },
    async () => {
      const { id, name, space } = await app.showSite();
      return { id, name, space };
    },
  );
};
