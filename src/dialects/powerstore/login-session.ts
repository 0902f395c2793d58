/** The caller's own session, the roles there are, and the users. */
import type { FastifyInstance } from 'fastify';
import type { App } from '../../app/app.ts';
import { refuse } from '../../domain/refusal.ts';
import { roles as domainRoles } from '../../domain/user.ts';
import type { Role } from '../../domain/user.ts';
import { callerOf } from '../callers.ts';
import { readListing } from './lists.ts';
import { BASE } from './paths.ts';
import { checkSelection, hasAttribute, resourceType, show } from './resource-types.ts';
import type { Resource } from './routes.ts';
import { forgetSession, sessionOf } from './sign-in.ts';
import { worldOf } from './world.ts';

/** The vendor's roles that ours are like. */
const vendorRoles: { readonly [R in Role]: readonly [id: string, name: string, may: string] } = {
  administrator: ['1', 'Administrator', 'Everything.'],
  storage_operator: ['2', 'Storage Administrator', 'Makes, changes and moves volumes and groups.'],
  dr_operator: ['6', 'Storage Operator', 'Protects and moves what exists.'],
  viewer: ['3', 'Operator', 'Looks at everything, changes nothing.'],
};

const loginSession = resourceType({
  name: 'login_session',
  attributes: [
    'id',
    'user',
    'role_ids',
    'idle_timeout',
    'is_password_change_required',
    'is_built_in_user',
  ],
  rows: () => Promise.resolve([]),
});

const types = new Map([[loginSession.name, loginSession]]);

export const role: Resource = {
  type: resourceType({
    name: 'role',
    attributes: ['id', 'name', 'is_built_in', 'description'],
    isSimple: true,
    rows: () => {
      const rows = domainRoles.map((one) => {
        const [id, name, description] = vendorRoles[one];
        return { attributes: { id, name, is_built_in: true, description }, links: {} };
      });
      return Promise.resolve(rows);
    },
  }),
};

export const localUser: Resource = {
  type: resourceType({
    name: 'local_user',
    attributes: ['id', 'name', 'is_built_in', 'is_locked', 'is_default_password', 'role_id'],
    isSimple: true,
    rows: async ({ users }) =>
      (await users()).map((user) => ({
        attributes: {
          id: user.id,
          name: user.name,
          is_built_in: user.name === 'admin',
          is_locked: false,
          is_default_password: false,
          role_id: vendorRoles[user.role][0],
        },
        links: {},
      })),
  }),
};

/** Signing in is any request with credentials; clients do it with this one. */
export function mountLoginSession(http: FastifyInstance, app: App): void {
  http.get(`${BASE}/login_session`, { config: { needs: 'view' } }, async (request) => {
    const has = (attribute: string): boolean => hasAttribute(loginSession, attribute);
    const { selection } = readListing(request.url, undefined, has, loginSession.name);
    checkSelection(types, loginSession, selection);
    const caller =
      callerOf(request) ?? refuse({ code: 'unauthenticated', why: 'nobody has signed in' });
    const own = (await app.listSignIns({ caller })).find((s) => s.signInId === caller.signInId);
    const row = {
      attributes: {
        id: caller.signInId,
        user: caller.name,
        role_ids: [vendorRoles[caller.role][0]],
        idle_timeout: own?.secondsLeft ?? 0,
        is_password_change_required: false,
        is_built_in_user: caller.name === 'admin',
      },
      links: {},
    };
    return [await show(types, worldOf(app, ''), loginSession, row, selection)];
  });

  http.post(`${BASE}/logout`, { config: { needs: 'view' } }, async (request, reply) => {
    const session = sessionOf(request);
    if (session !== undefined) await app.signOut(session);
    forgetSession(request);
    return reply.code(204).send();
  });
}
