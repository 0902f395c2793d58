import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { PowerStoreError, answer } from './errors.ts';

/** What the server under this dialect has to be told: a plugin cannot. */
export const serverOptions = {
  /** A request that has not come in whole by then is dropped; Fastify alone would wait for ever. */
  requestTimeout: 30_000,
  genReqId: () => randomUUID() as string,
  routerOptions: {
    ignoreTrailingSlash: true,
    maxParamLength: 256,
  },
  /** A path that is not even a URL never comes to the plugin. */
  frameworkErrors: (_error: Error, _request: FastifyRequest, reply: FastifyReply): void => {
    void answer(reply, new PowerStoreError('malformed_url', 'The URL cannot be parsed.'));
  },
};
