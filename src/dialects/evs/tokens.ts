/** The identity service's tokens: made of a name and password, for the site's one project. */
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { Caller } from '../../app/sign-in.ts';
import type { Role } from '../../domain/user.ts';
import { refuse } from '../../domain/refusal.ts';
import { callerOf } from '../callers.ts';
import { readMember } from './bodies.ts';
import { catalogOf } from './catalog.ts';
import { Fault } from './errors.ts';
import { derivedId, PROJECT_ID, withoutDashes } from './ids.ts';
import type { DialectUrls, EvsOptions } from './options.ts';
import { stamp } from './schemas.ts';
import { tokenOf } from './sign-in.ts';

const domain = { id: 'default', name: 'Default' } as const;
const SUBJECT = 'x-subject-token';

/** Each role says what those below it say, too. */
const roleNames: { readonly [R in Role]: readonly string[] } = {
  administrator: ['admin', 'member', 'reader'],
  storage_operator: ['member', 'reader'],
  dr_operator: ['dr_operator', 'reader'],
  viewer: ['reader'],
};

const Domain = Type.Object({
  id: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
});
const Scope = Type.Object({
  project: Type.Optional(
    Type.Object({
      id: Type.Optional(Type.String()),
      name: Type.Optional(Type.String()),
      domain: Type.Optional(Domain),
    }),
  ),
  domain: Type.Optional(Domain),
});
const Auth = Type.Object({
  identity: Type.Object({
    methods: Type.Array(Type.String(), { minItems: 1 }),
    password: Type.Optional(
      Type.Object({
        user: Type.Object({
          id: Type.Optional(Type.String({ maxLength: 64 })),
          name: Type.Optional(Type.String({ maxLength: 64 })),
          domain: Type.Optional(Domain),
          password: Type.String({ maxLength: 256 }),
        }),
      }),
    ),
    token: Type.Optional(Type.Object({ id: Type.String({ maxLength: 256 }) })),
  }),
  scope: Type.Optional(Type.Union([Scope, Type.Literal('unscoped')])),
});

interface Named {
  readonly id?: string | undefined;
  readonly name?: string | undefined;
}

export const tokens: FastifyPluginAsync<EvsOptions> = async (http, { app, urls }) => {
  http.post('/v3/auth/tokens', { config: { needs: 'nothing' } }, async (request, reply) => {
    const { identity, scope } = readMember(request.body, 'auth', Auth, { strict: false });
    const isScoped = checkScope(scope);
    const token = await tokenFor(app, identity, request.ip);
    const caller = await app.authenticate(token);
    reply.code(201).headers({ 'x-subject-token': token, vary: 'X-Auth-Token' });
    return describeToken(app, urls, caller, isScoped);
  });

  http.get('/v3/auth/tokens', { config: { needs: 'view' } }, async (request, reply) => {
    const { token, caller } = await subjectOf(app, request);
    reply.headers({ 'x-subject-token': token, vary: 'X-Auth-Token' });
    return describeToken(app, urls, caller, true);
  });

  http.delete('/v3/auth/tokens', { config: { needs: 'view' } }, async (request, reply) => {
    const { token } = await subjectOf(app, request);
    await app.signOut(token);
    return reply.code(204).send();
  });

  http.get('/v3/auth/catalog', { config: { needs: 'view' } }, async () => {
    const self = `${urls.identity}/auth/catalog`;
    return { catalog: catalogOf(urls), links: { self } };
  });

  http.get('/v3/auth/projects', { config: { needs: 'view' } }, async () => {
    const self = `${urls.identity}/auth/projects`;
    return { projects: [project], links: { next: null, self, previous: null } };
  });
};

/** The user who tries to sign in, for the audit log. */
export function nameSignedIn(body: unknown): string | undefined {
  try {
    const { identity } = readMember(body, 'auth', Auth, { strict: false });
    return identity.password?.user.name ?? identity.password?.user.id;
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

async function tokenFor(
  app: App,
  { methods, password, token }: Static<typeof Auth>['identity'],
  from: string,
): Promise<string> {
  if (methods.includes('password') && password !== undefined) {
    const { user } = password;
    if (user.domain !== undefined && !fits(user.domain, domain)) return unknown();
    const name = user.name ?? (await userNamed(app, user.id));
    if (name === undefined) return unknown();
    const signedIn = await app.signIn({
      name,
      password: user.password,
      from,
      application: 'OpenStack',
    });
    return signedIn.token;
  }
  if (methods.includes('token') && token !== undefined) {
    await app.authenticate(token.id);
    return token.id;
  }
  throw new Fault(400, 'Invalid input: wanted the method "password" or "token" with its member.');
}

/** Another's token is shown to administrators alone. */
async function subjectOf(
  app: App,
  request: FastifyRequest,
): Promise<{ readonly token: string; readonly caller: Caller }> {
  const token = tokenOf(request, SUBJECT);
  if (token === undefined) throw new Fault(400, 'The request brings no X-Subject-Token.');
  const asking = callerOf(request) ?? unknown();
  const subject = await app.authenticate(token).catch(() => {
    throw new Fault(404, 'Could not find the token.');
  });
  if (subject.name !== asking.name && asking.role !== 'administrator') {
    refuse({ code: 'forbidden', needed: 'administrator', role: asking.role });
  }
  return { token, caller: subject };
}

async function describeToken(
  app: App,
  urls: DialectUrls,
  caller: Caller,
  isScoped: boolean,
): Promise<Readonly<Record<string, unknown>>> {
  const signIns = await app.listSignIns({ caller });
  const { createdAt, expiresAt } =
    signIns.find(({ signInId }) => signInId === caller.signInId) ?? unknown();
  const user = (await app.listUsers()).find(({ name }) => name === caller.name) ?? unknown();
  const roles = roleNames[caller.role].map((name) => ({
    id: withoutDashes(derivedId('role', name)),
    name,
  }));
  return {
    token: {
      methods: ['password'],
      user: { id: withoutDashes(user.id), name: user.name, domain, password_expires_at: null },
      audit_ids: [withoutDashes(caller.signInId)],
      issued_at: zoned(createdAt),
      expires_at: zoned(expiresAt),
      ...(isScoped && {
        is_domain: false,
        project: { id: project.id, name: project.name, domain },
        roles,
        catalog: catalogOf(urls),
      }),
    },
  };
}

const project = {
  id: PROJECT_ID,
  name: 'baton',
  enabled: true,
  is_domain: false,
  domain_id: domain.id,
  parent_id: domain.id,
  description: '',
} as const;

/**
 * A user's project is the default scope, so without one the token is for the project, too.
 *
 * @throws Refusal `unauthenticated` for any other scope
 */
function checkScope(scope: Static<typeof Auth>['scope']): boolean {
  if (scope === undefined) return true;
  if (scope === 'unscoped') return false;
  if (scope.project === undefined) return unknown();
  const { id, name, domain: of } = scope.project;
  const isHere = id !== undefined || name !== undefined;
  if (!isHere || !fits({ id: id && withoutDashes(id), name }, project)) return unknown();
  if (of !== undefined && !fits(of, domain)) return unknown();
  return true;
}

function fits(asked: Named, known: Named): boolean {
  return (
    (asked.id === undefined || asked.id === known.id) &&
    (asked.name === undefined || asked.name === known.name)
  );
}

async function userNamed(app: App, id: string | undefined): Promise<string | undefined> {
  if (id === undefined) return undefined;
  return (await app.listUsers()).find((user) => withoutDashes(user.id) === withoutDashes(id))?.name;
}

function zoned(instant: number): string {
  return `${stamp(instant)}Z`;
}

/** Whatever of user, password, project and scope was wrong: the answer is the same. */
function unknown(): never {
  return refuse({
    code: 'unauthenticated',
    why: 'unknown user, wrong password or unknown project',
  });
}
