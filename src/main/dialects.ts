/** The dialects that a site answers in. A new one is a row here and a row of `dialectListeners`. */
import type { Server } from 'node:https';
import type { FastifyHttpsOptions, FastifyPluginAsync } from 'fastify';
import { evsDialect } from '../dialects/evs/evs.ts';
import { evsIdentity } from '../dialects/evs/identity.ts';
import type { EvsOptions } from '../dialects/evs/options.ts';
import { serverOptions as evsServer } from '../dialects/evs/server-options.ts';
import { nativeDialect } from '../dialects/native/native.ts';
import { serverOptions as nativeServer } from '../dialects/native/server-options.ts';
import { nimbleDialect } from '../dialects/nimble/nimble.ts';
import { serverOptions as nimbleServer } from '../dialects/nimble/server-options.ts';
import { powerstoreDialect } from '../dialects/powerstore/powerstore.ts';
import { serverOptions as powerstoreServer } from '../dialects/powerstore/server-options.ts';
import type { DialectName } from './listeners.ts';

export interface Dialect {
  /** What the server below it has to be told: a scope cannot. */
  readonly server: Omit<FastifyHttpsOptions<Server>, 'https'>;
  /** Given what the one with the most wishes wants. */
  readonly scope: FastifyPluginAsync<EvsOptions>;
  /** Where the scope is mounted; a vendor with paths outside its API is mounted at the root. */
  readonly prefix: string;
}

export const dialects: { readonly [N in DialectName]: Dialect } = {
  native: { server: nativeServer, scope: nativeDialect, prefix: '/api/v1' },
  powerstore: { server: powerstoreServer, scope: powerstoreDialect, prefix: '' },
  nimble: { server: nimbleServer, scope: nimbleDialect, prefix: '' },
  evs: { server: evsServer, scope: evsDialect, prefix: '' },
  identity: { server: evsServer, scope: evsIdentity, prefix: '' },
};
