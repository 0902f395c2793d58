import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { answerFault } from './errors.ts';

/** What the servers under this dialect have to be told: a plugin cannot. */
export const serverOptions = {
  /** A request that has not come in whole by then is answered 408; Fastify alone would wait for ever. */
  requestTimeout: 30_000,
  /** As the vendor's clients print it. */
  genReqId: () => `req-${randomUUID()}`,
  routerOptions: { ignoreTrailingSlash: true, maxParamLength: 256 },
  /** A path that is not even a URL never comes to the plugin. */
  frameworkErrors: (_error: Error, _request: FastifyRequest, reply: FastifyReply): void => {
    void answerFault(reply, 400, 'The path is not a valid part of a URL.');
  },
};
