import type { TestContext } from 'node:test';
import Fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { createUser } from '../../src/app/sign-in.ts';
import { nativeDialect } from '../../src/dialects/native/native.ts';
import { serverOptions } from '../../src/dialects/native/server-options.ts';
import type { Role } from '../../src/domain/user.ts';
import { memoryPair } from './memory-site.ts';
import type { MemoryPair, MemorySite } from './memory-site.ts';

export const PASSWORD = 'correct horse';

type Json = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number | string[] | undefined>>;
  readonly body: Json;
  readonly text: string;
}

/** One site's native API, as somebody who is signed in calls it. */
export interface NativeApi {
  readonly http: FastifyInstance;
  readonly site: MemorySite;
  readonly token: string;
  readonly call: (method: string, path: string, body?: unknown, token?: string) => Promise<Answer>;
  readonly tokenOf: (role: Role) => Promise<string>;
}

export async function nativeApi(
  t: Pick<TestContext, 'after'>,
  site: MemorySite,
): Promise<NativeApi> {
  const http = Fastify(serverOptions);
  await http.register(nativeDialect, { prefix: '/api/v1', app: site.app, log: site.ports.log });
  t.after(() => http.close());
  const tokens = new Map<Role, string>();
  const tokenOf = async (role: Role): Promise<string> => {
    const known = tokens.get(role);
    if (known !== undefined) return known;
    const users = await site.app.listUsers();
    if (!users.some(({ name }) => name === role)) {
      await createUser(site.ports, { name: role, password: PASSWORD, role });
    }
    const { token } = await site.app.signIn({ name: role, password: PASSWORD });
    tokens.set(role, token);
    return token;
  };
  const token = await tokenOf('administrator');

  const call: NativeApi['call'] = async (method, path, body, as = token) => {
    const answer = await http.inject({
      method: method as 'GET',
      url: `/api/v1${path}`,
      headers: as === '' ? {} : { authorization: `Bearer ${as}` },
      ...(body !== undefined && { payload: body as object }),
    });
    const isJson = String(answer.headers['content-type']).includes('json');
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: isJson ? answer.json<Json>() : {},
      text: answer.body,
    };
  };
  return { http, site, token, call, tokenOf };
}

export interface NativePair extends MemoryPair {
  readonly here: NativeApi;
  readonly there: NativeApi;
}

/** Two paired sites with their APIs; `here` is Paris. */
export async function nativePair(t: Pick<TestContext, 'after'>): Promise<NativePair> {
  const pair = await memoryPair(t);
  return { ...pair, here: await nativeApi(t, pair.paris), there: await nativeApi(t, pair.lyon) };
}
