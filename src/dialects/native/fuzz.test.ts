import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MemorySite } from '../../../test/support/memory-site.ts';
import { PASSWORD, nativePair } from '../../../test/support/native-api.ts';

const REQUESTS = Number(process.env['BATON_FUZZ_REQUESTS'] ?? 2000);
const SIZE = 1024 * 1024;

const names = ['orders', 'data', 'alone', 'app1', 'lyon', 'administrator', 'none'];

const word = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...names) },
  { weight: 1, arbitrary: fc.uuid() },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 70 }) },
);

const segment = fc.oneof(
  { weight: 9, arbitrary: word.map(encoded) },
  { weight: 1, arbitrary: fc.constantFrom('%zz', '..', '.', '', '%00', '%2f', 'a'.repeat(200)) },
);

const size = fc.oneof(
  fc.constantFrom(SIZE, 2 * SIZE, 0, -1, 0.5, 1e300, Number.MAX_SAFE_INTEGER),
  fc.integer(),
);

/** What a member of a body may be, by its name in the API. */
const members: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  name: fc.oneof({ weight: 3, arbitrary: fc.stringMatching(/^[a-z]{1,3}$/) }, word),
  sizeBytes: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(SIZE, 2 * SIZE) }, size),
  group: word,
  peer: fc.oneof({ weight: 3, arbitrary: fc.constant('lyon') }, word),
  to: word,
  rpoSeconds: fc.integer({ min: 0, max: 90 }),
  bytesPerSecond: fc.option(fc.integer()),
  retainedPoints: fc.integer({ min: 0, max: 9 }),
  reverse: fc.boolean(),
  password: fc.string({ maxLength: 12 }),
  token: fc.string(),
  role: fc.constantFrom('viewer', 'administrator', 'king'),
};

/** Bodies that mostly fit the route, and often almost do. */
function bodyOf({ names: own, required }: Route): fc.Arbitrary<unknown> {
  if (own.length === 0) return fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, json);
  const fitting = Object.fromEntries(own.map((name) => [name, members[name] ?? json]));
  return fc.oneof(
    { weight: 12, arbitrary: fc.record(fitting, { requiredKeys: [...required] }) },
    { weight: 2, arbitrary: fc.record(members, { requiredKeys: [] }) },
    { weight: 1, arbitrary: json },
  );
}

const json = fc.option(fc.jsonValue(), { nil: undefined });

interface Route {
  readonly path: string;
  readonly method: string;
  readonly names: readonly string[];
  readonly required: readonly string[];
}

interface Described {
  readonly requestBody?: {
    readonly content: {
      readonly 'application/json': {
        readonly schema: { readonly properties: object; readonly required?: readonly string[] };
      };
    };
  };
}

/** Every route but the stream that does not end. */
function routesOf(api: Readonly<Record<string, unknown>>): readonly Route[] {
  const paths = api['paths'] as Readonly<Record<string, Readonly<Record<string, Described>>>>;
  return Object.entries(paths)
    .filter(([path]) => !path.endsWith('/events'))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { requestBody }]) => {
        const schema = requestBody?.content['application/json'].schema;
        const own = Object.keys(schema?.properties ?? {});
        const required = schema?.required ?? [];
        return { path, method: method.toUpperCase(), names: own, required };
      }),
    );
}

const method = fc.constantFrom('GET', 'PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS');

const query = fc.oneof(
  { weight: 14, arbitrary: fc.constant('') },
  { weight: 3, arbitrary: fc.constantFrom('?wait=0', '?limit=2&offset=1', '?dryRun=true') },
  { weight: 1, arbitrary: fc.tuple(word, word).map(([k, v]) => `?${encoded(k)}=${encoded(v)}`) },
);

function encoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

test(`${REQUESTS} requests of any kind over all routes are answered, none with a 5xx`, async (t) => {
  const { here, paris } = await nativePair(t);
  const { call, http } = here;
  await call('POST', '/groups', { name: 'orders' });
  await call('POST', '/volumes?wait=5', { name: 'data', sizeBytes: SIZE, group: 'orders' });
  await call('POST', '/volumes?wait=5', { name: 'alone', sizeBytes: SIZE });
  await call('POST', '/hosts', { name: 'app1' });
  await call('PUT', '/groups/orders/session?wait=5', { peer: 'lyon', rpoSeconds: 30 });
  const routes = routesOf((await call('GET', '/openapi.json')).body);
  const request = fc.constantFrom(...routes).chain((route) =>
    fc.record({
      route: fc.constant(route),
      otherMethod: fc.oneof({ weight: 14, arbitrary: fc.constant(undefined) }, method),
      segments: fc.array(segment, { minLength: 2, maxLength: 2 }),
      query,
      body: bodyOf(route),
    }),
  );

  const seed = Number(process.env['BATON_FUZZ_SEED'] ?? Date.now() % 2 ** 31);
  const statuses = new Map<number, number>();
  let token = here.token;
  for (const { route, otherMethod, segments, query: asked, body: sent } of fc.sample(request, {
    numRuns: REQUESTS,
    seed,
  })) {
    const left = [...segments];
    const path = route.path.replaceAll(/\{\w+\}/g, () => left.shift() ?? 'none');
    const answer = await http.inject({
      method: (otherMethod ?? route.method) as 'GET',
      url: path + asked,
      headers: {
        authorization: `Bearer ${token}`,
        ...(sent !== undefined && { 'content-type': 'application/json' }),
      },
      ...(sent !== undefined && { payload: JSON.stringify(sent) }),
    });
    const { statusCode } = answer;
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
    const what = `${otherMethod ?? route.method} ${path}${asked} ${JSON.stringify(sent)}`;
    assert.ok(statusCode < 500, `BATON_FUZZ_SEED=${seed}: ${what}: ${statusCode} ${answer.body}`);
    // It signed itself out, or changed its own password.
    if (statusCode === 401) token = await anotherToken(paris);
  }

  assert.deepEqual(
    paris.logged.filter(({ event }) => event === 'request_failed'),
    [],
  );
  for (const status of [200, 201, 202, 400, 404, 405, 409]) {
    assert.ok(statuses.has(status), `no ${status}: ${JSON.stringify([...statuses])}`);
  }
});

async function anotherToken({ app }: MemorySite): Promise<string> {
  const name = `user-${crypto.randomUUID()}`;
  await app.createUser({ name, password: PASSWORD, role: 'administrator' });
  return (await app.signIn({ name, password: PASSWORD })).token;
}
