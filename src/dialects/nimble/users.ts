/** Baton's users, with the vendor's names for their roles. They are made through the native API. */
import type { Role } from '../../domain/user.ts';
import { toWire } from './ids.ts';
import type { Json } from './lists.ts';
import type { ObjectSet } from './object-sets.ts';
import { seconds } from './schemas.ts';

const attributes = [
  'id',
  'name',
  'full_name',
  'search_name',
  'description',
  'role',
  'inactivity_timeout',
  'creation_time',
  'last_modified',
  'disabled',
] as const;

type UserRow = Readonly<Record<(typeof attributes)[number], Json>>;

const roleNames: { readonly [R in Role]: string } = {
  administrator: 'administrator',
  storage_operator: 'poweruser',
  dr_operator: 'operator',
  viewer: 'guest',
};

export const users: ObjectSet = {
  name: 'users',
  looks: 'administer',
  attributes,
  brief: ['id', 'name'],
  rows: async ({ app }) =>
    (await app.listUsers()).map(({ id, name, role, createdAt }): UserRow => ({
      id: toWire('user', id),
      name,
      full_name: name,
      search_name: name,
      description: '',
      role: roleNames[role],
      inactivity_timeout: 0,
      creation_time: seconds(createdAt),
      last_modified: seconds(createdAt),
      disabled: false,
    })),
};
