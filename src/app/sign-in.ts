import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { newId } from '../domain/ids.ts';
import type { Instant, SignInId, UserId } from '../domain/ids.ts';
import { checkName } from '../domain/names.ts';
import { refuse } from '../domain/refusal.ts';
import { may } from '../domain/user.ts';
import type { Need, Role, Token, User } from '../domain/user.ts';
import type { AppPorts } from './app-ports.ts';

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number }, Buffer>(
  scrypt,
);

/** scrypt's cost: 16 MiB and some tens of milliseconds. */
const COST = { N: 2 ** 14, r: 8, p: 1 };
const KEY_BYTES = 32;
export const TOKEN_TERM_MS = 12 * 60 * 60 * 1000;
/** 128 bits as 32 letters and digits, which every dialect's clients take for a token. */
const TOKEN_BYTES = 16;
/** Failed sign-ins in a minute, per user name, after which more are refused without a look. */
const MAX_FAILURES = 10;
const FAILURE_WINDOW_MS = 60_000;
/** Names whose failures are remembered; the oldest go first, so made-up names cost no memory. */
const MAX_REMEMBERED_NAMES = 1000;
export const MIN_PASSWORD_LENGTH = 8;

/** Who asks, once known. */
export interface Caller {
  readonly name: string;
  readonly role: Role;
  readonly signInId: SignInId;
}

export interface SignIn {
  readonly name: string;
  readonly password: string;
  readonly from?: string | undefined;
  readonly application?: string | undefined;
}

/** A token as it may be shown: without anything that opens the API. */
export interface SignInView extends Omit<Token, 'id' | 'userId'> {
  readonly userName: string;
  /** Until it ends. */
  readonly secondsLeft: number;
}

type Deps = Pick<AppPorts, 'store' | 'clock'>;

/** Failures live in memory: a restart forgives them, which costs an attacker more than it gives. */
const failures = new Map<string, readonly Instant[]>();

/**
 * Checks a name and password.
 *
 * @throws Refusal `unauthenticated`, `too_many_logins`
 */
export async function checkPassword(
  { store, clock }: Deps,
  { name, password }: { readonly name: string; readonly password: string },
): Promise<User> {
  const now = clock.now();
  const recent = (failures.get(name) ?? []).filter((at) => now - at < FAILURE_WINDOW_MS);
  if (recent.length >= MAX_FAILURES) {
    const retryAfterSeconds = Math.ceil(((recent[0] ?? now) + FAILURE_WINDOW_MS - now) / 1000);
    refuse({ code: 'too_many_logins', retryAfterSeconds });
  }
  const user = (await store.read((tx) => tx.users.where({ name })))[0];
  // An unknown name costs the same time as a wrong password.
  const good = await matches(password, user?.passwordHash ?? NO_PASSWORD);
  if (user === undefined || !good) {
    rememberFailure(name, [...recent, now]);
    return refuse({ code: 'unauthenticated', why: 'unknown user or wrong password' });
  }
  failures.delete(name);
  return user;
}

function rememberFailure(name: string, at: readonly Instant[]): void {
  failures.delete(name);
  failures.set(name, at);
  const [oldest] = failures.keys();
  if (failures.size > MAX_REMEMBERED_NAMES && oldest !== undefined) failures.delete(oldest);
}

/**
 * Signs in.
 *
 * @returns a bearer token, good for `TOKEN_TERM_MS`; only its hash is kept
 * @throws Refusal `unauthenticated`, `too_many_logins`
 */
export async function signIn(
  ports: Deps,
  { from, application, ...credentials }: SignIn,
): Promise<{ readonly token: string; readonly expiresAt: Instant; readonly caller: Caller }> {
  const { id: userId, name, role } = await checkPassword(ports, credentials);
  const token = randomBytes(TOKEN_BYTES).toString('hex');
  const signInId = newId<SignInId>();
  const now = ports.clock.now();
  const expiresAt = now + TOKEN_TERM_MS;
  await ports.store.transaction(async (tx) => {
    for (const old of await tx.tokens.all())
      if (old.expiresAt <= now) await tx.tokens.remove(old.id);
    await tx.tokens.insert({
      id: hashOf(token),
      signInId,
      userId,
      createdAt: now,
      expiresAt,
      from,
      application,
    });
  });
  return { token, expiresAt, caller: { name, role, signInId } };
}

/** @throws Refusal `unauthenticated` */
export function authenticate({ store, clock }: Deps, token: string): Promise<Caller> {
  return store.read(async (tx) => {
    const known = await tx.tokens.get(hashOf(token));
    if (known === undefined || known.expiresAt <= clock.now()) {
      return refuse({ code: 'unauthenticated', why: 'the token is unknown or has expired' });
    }
    const { name, role } = await tx.users.need(known.userId);
    return { name, role, signInId: known.signInId };
  });
}

/** The tokens that still open the API, oldest first: the caller's own, or all to an administrator. */
export function listSignIns(
  { store, clock }: Deps,
  { caller }: { readonly caller: Caller },
): Promise<readonly SignInView[]> {
  return store.read(async (tx) => {
    const users = new Map((await tx.users.all()).map((u) => [u.id, u.name]));
    const now = clock.now();
    return (await tx.tokens.all())
      .filter((t) => t.expiresAt > now)
      .map(({ id: _hash, userId, ...shown }) => ({
        ...shown,
        userName: users.get(userId) ?? '',
        secondsLeft: Math.floor((shown.expiresAt - now) / 1000),
      }))
      .filter((t) => may(caller.role, 'administer') || t.userName === caller.name);
  });
}

/**
 * Ends a token by its name in lists. A repeat changes nothing.
 *
 * @throws Refusal `forbidden` unless it is the caller's own, or the caller is an administrator
 */
export function endSignIn(
  { store }: Pick<Deps, 'store'>,
  { signInId, caller }: { readonly signInId: SignInId; readonly caller: Caller },
): Promise<void> {
  return store.transaction(async (tx) => {
    for (const { id, userId } of await tx.tokens.where({ signInId })) {
      if ((await tx.users.need(userId)).name !== caller.name) requireRole(caller, 'administer');
      await tx.tokens.remove(id);
    }
  });
}

/** Ends a token. A repeat changes nothing. */
export function signOut({ store }: Pick<Deps, 'store'>, token: string): Promise<void> {
  return store.transaction((tx) => tx.tokens.remove(hashOf(token)));
}

/** @throws Refusal `forbidden` */
export function requireRole({ role }: Caller, need: Need): void {
  if (!may(role, need)) refuse({ code: 'forbidden', needed: need, role });
}

/**
 * Makes a user.
 *
 * @throws Refusal `invalid`, `already_exists`
 */
export async function createUser(
  { store, clock }: Deps,
  {
    name,
    password,
    role,
  }: { readonly name: string; readonly password: string; readonly role: Role },
): Promise<User> {
  checkName(name);
  const passwordHash = await hashPassword(password);
  return store.transaction(async (tx) => {
    if ((await tx.users.where({ name })).length > 0)
      refuse({ code: 'already_exists', what: 'user', name });
    return tx.users.insert({
      id: newId<UserId>(),
      name,
      role,
      passwordHash,
      createdAt: clock.now(),
    });
  });
}

/**
 * Gives a user another password; the tokens that were issued before end.
 *
 * @throws Refusal `invalid`, `not_found`
 */
export async function changePassword(
  { store }: Pick<Deps, 'store'>,
  { userId, password }: { readonly userId: UserId; readonly password: string },
): Promise<void> {
  const passwordHash = await hashPassword(password);
  await store.transaction(async (tx) => {
    await tx.users.change(userId, (u) => ({ ...u, passwordHash }));
    for (const { id } of await tx.tokens.where({ userId })) await tx.tokens.remove(id);
  });
}

/** @throws Refusal `in_use` for the last administrator */
export function deleteUser(
  { store }: Pick<Deps, 'store'>,
  { userId }: { readonly userId: UserId },
): Promise<void> {
  return store.transaction(async (tx) => {
    const user = await tx.users.need(userId);
    const administrators = await tx.users.where({ role: 'administrator' });
    if (user.role === 'administrator' && administrators.length === 1) {
      refuse({
        code: 'in_use',
        what: 'user',
        id: user.name,
        by: 'this site: it is the last administrator',
      });
    }
    for (const { id } of await tx.tokens.where({ userId })) await tx.tokens.remove(id);
    await tx.users.remove(userId);
  });
}

async function hashPassword(password: string): Promise<string> {
  if (password.length < MIN_PASSWORD_LENGTH || password.length > 256) {
    const wanted = `${MIN_PASSWORD_LENGTH} to 256 characters`;
    refuse({ code: 'invalid', field: 'password', wanted, seen: `${password.length} characters` });
  }
  const salt = randomBytes(16);
  const key = await derive(password, salt, KEY_BYTES, COST);
  const { N, r, p } = COST;
  return ['scrypt', N, r, p, salt.toString('base64url'), key.toString('base64url')].join('$');
}

/** A hash that no password has. */
const NO_PASSWORD = `scrypt$${COST.N}$${COST.r}$${COST.p}$${'A'.repeat(22)}$${'A'.repeat(43)}`;

async function matches(password: string, stored: string): Promise<boolean> {
  const [, N, r, p, salt = '', hash = ''] = stored.split('$');
  const wanted = Buffer.from(hash, 'base64url');
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const key = await derive(password, Buffer.from(salt, 'base64url'), KEY_BYTES, cost);
  return timingSafeEqual(key, wanted);
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
