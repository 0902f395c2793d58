import type { TestContext } from 'node:test';
import Fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { createUser } from '../../src/app/sign-in.ts';
import { nimbleDialect } from '../../src/dialects/nimble/nimble.ts';
import { serverOptions } from '../../src/dialects/nimble/server-options.ts';
import type { Role } from '../../src/domain/user.ts';
import type { MemorySite } from './memory-site.ts';
import { PASSWORD } from './native-api.ts';

type Json = Readonly<Record<string, unknown>>;

export interface NimbleAnswer {
  readonly status: number;
  readonly body: Json;
  /** The object, where the answer is one. */
  readonly data: Json;
  /** The rows, where the answer is a list. */
  readonly rows: readonly Json[];
  /** The codes of a "no", HTTP's own first. */
  readonly codes: readonly string[];
  readonly text: string;
}

/** One site's Nimble API, as somebody who is signed in calls it. */
export interface NimbleApi {
  readonly http: FastifyInstance;
  readonly site: MemorySite;
  readonly token: string;
  /** @param data goes into `{"data": …}` */
  readonly call: (
    method: string,
    path: string,
    data?: unknown,
    token?: string,
  ) => Promise<NimbleAnswer>;
  /** The same with a body as it is. */
  readonly send: (
    method: string,
    path: string,
    body?: unknown,
    token?: string,
  ) => Promise<NimbleAnswer>;
  readonly tokenOf: (role: Role) => Promise<string>;
}

export async function nimbleApi(
  t: Pick<TestContext, 'after'>,
  site: MemorySite,
): Promise<NimbleApi> {
  const http = Fastify(serverOptions);
  await http.register(nimbleDialect, { app: site.app, log: site.ports.log });
  t.after(() => http.close());
  const tokenOf = async (role: Role): Promise<string> => {
    const users = await site.app.listUsers();
    if (!users.some(({ name }) => name === role)) {
      await createUser(site.ports, { name: role, password: PASSWORD, role });
    }
    return (await site.app.signIn({ name: role, password: PASSWORD })).token;
  };
  const token = await tokenOf('administrator');

  const send: NimbleApi['send'] = async (method, path, body, as = token) => {
    const answer = await http.inject({
      method: method as 'GET',
      url: path.startsWith('/') ? path : `/v1/${path}`,
      headers: as === '' ? {} : { 'x-auth-token': as },
      ...(body !== undefined && { payload: body as object }),
    });
    const json = answer.json<Json>();
    const data = json['data'];
    const messages = (json['messages'] ?? []) as readonly { readonly code: string }[];
    return {
      status: answer.statusCode,
      body: json,
      data: Array.isArray(data) ? {} : ((data ?? {}) as Json),
      rows: Array.isArray(data) ? (data as readonly Json[]) : [],
      codes: messages.map(({ code }) => code),
      text: answer.body,
    };
  };
  const call: NimbleApi['call'] = (method, path, data, as) =>
    send(method, path, data === undefined ? undefined : { data }, as);
  return { http, site, token, call, send, tokenOf };
}
