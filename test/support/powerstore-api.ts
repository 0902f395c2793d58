import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import Fastify from 'fastify';
import type { FastifyInstance } from 'fastify';
import { createUser } from '../../src/app/sign-in.ts';
import { powerstoreDialect } from '../../src/dialects/powerstore/powerstore.ts';
import { serverOptions } from '../../src/dialects/powerstore/server-options.ts';
import type { Role } from '../../src/domain/user.ts';
import { memoryPair } from './memory-site.ts';
import type { MemoryPair, MemorySite } from './memory-site.ts';
import { PASSWORD } from './native-api.ts';

type Json = Readonly<Record<string, unknown>>;

export interface PowerStoreAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | number | string[] | undefined>>;
  /** The instance, where the answer is one. */
  readonly body: Json;
  /** The instances, where the answer is a list. */
  readonly rows: readonly Json[];
  /** The code of a "no", and its sentence. */
  readonly code: string | undefined;
  readonly sentence: string | undefined;
}

export interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One site's PowerStore API. */
export interface PowerStoreApi {
  readonly http: FastifyInstance;
  readonly site: MemorySite;
  /** As the administrator, or as somebody of another role. */
  readonly call: (
    method: string,
    path: string,
    body?: unknown,
    role?: Role,
  ) => Promise<PowerStoreAnswer>;
  /** The same with headers as they are, and without credentials. */
  readonly send: (sent: Sent) => Promise<PowerStoreAnswer>;
  /** Of what was created. */
  readonly made: (path: string, body: unknown) => Promise<string>;
  /** Makes a user of each role that there is none of. */
  readonly userOf: (role: Role) => Promise<Readonly<Record<string, string>>>;
}

export async function powerstoreApi(
  t: Pick<TestContext, 'after'>,
  site: MemorySite,
): Promise<PowerStoreApi> {
  const http = Fastify(serverOptions);
  await http.register(powerstoreDialect, { app: site.app, log: site.ports.log });
  t.after(() => http.close());

  const userOf = async (role: Role): Promise<Readonly<Record<string, string>>> => {
    const users = await site.app.listUsers();
    if (!users.some(({ name }) => name === role)) {
      await createUser(site.ports, { name: role, password: PASSWORD, role });
    }
    return basic(role, PASSWORD);
  };

  const send: PowerStoreApi['send'] = async ({ method = 'GET', path, body, headers = {} }) => {
    const answer = await http.inject({
      method: method as 'GET',
      url: path.startsWith('/') ? path : `/api/rest/${path}`,
      headers,
      ...(body !== undefined && { payload: body as object }),
    });
    const json = answer.body === '' ? {} : answer.json<Json | readonly Json[]>();
    const [message] = ((json as Json)['messages'] ?? []) as readonly {
      readonly code: string;
      readonly message_l10n: string;
    }[];
    return {
      status: answer.statusCode,
      headers: answer.headers,
      body: Array.isArray(json) ? {} : (json as Json),
      rows: Array.isArray(json) ? (json as readonly Json[]) : [],
      code: message?.code,
      sentence: message?.message_l10n,
    };
  };
  const call: PowerStoreApi['call'] = async (method, path, body, role = 'administrator') =>
    send({ method, path, body, headers: await userOf(role) });
  const made: PowerStoreApi['made'] = async (path, body) => {
    const answer = await call('POST', path, body);
    if (answer.status !== 201)
      throw new Error(`${path}: ${answer.status} ${answer.sentence ?? ''}`);
    return String(answer.body['id']);
  };
  return { http, site, call, send, made, userOf };
}

/**
 * That a request is refused in the vendor's shape, and has changed nothing.
 *
 * @param standing everything that the request could have changed
 */
export async function refusedAt(
  standing: () => Promise<unknown>,
  status: number,
  asking: () => Promise<PowerStoreAnswer>,
): Promise<PowerStoreAnswer> {
  const before = await standing();
  const answer = await asking();
  assert.equal(answer.status, status, answer.sentence ?? '');
  assert.match(String(answer.code), /^0x[0-9A-F]{12}$/);
  assert.deepEqual(await standing(), before, 'nothing has changed');
  return answer;
}

export function basic(name: string, password: string): Readonly<Record<string, string>> {
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` };
}

export interface PowerStorePair extends MemoryPair {
  readonly here: PowerStoreApi;
  readonly there: PowerStoreApi;
}

/** Two paired sites with their APIs; `here` is Paris. */
export async function powerstorePair(t: Pick<TestContext, 'after'>): Promise<PowerStorePair> {
  const pair = await memoryPair(t);
  const [here, there] = [await powerstoreApi(t, pair.paris), await powerstoreApi(t, pair.lyon)];
  return { ...pair, here, there };
}
