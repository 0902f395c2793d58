import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { answer } from './problems.ts';

/** What the server under this dialect has to be told: a plugin cannot. */
export const serverOptions = {
  /** A request that has not come in whole by then is dropped; Fastify alone would wait for ever. */
  requestTimeout: 30_000,
  /** Ids that are not given twice, also not after a restart: the log is searched for them. */
  genReqId: () => randomUUID() as string,
  /** A path that is not even a URL never comes to the plugin. */
  frameworkErrors: (_error: Error, _request: FastifyRequest, reply: FastifyReply): void => {
    void answer(reply, {
      status: 400,
      type: 'malformed',
      title: 'The request is malformed',
      detail: 'the path is not a valid part of a URL',
    });
  },
};
