/** Signing in and out: a token is an object that is made and deleted. */
import { Type } from 'typebox';
import type { Caller, SignInView } from '../../app/sign-in.ts';
import type { SignInId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { fromWire, toWire } from './ids.ts';
import type { Json } from './lists.ts';
import { operation } from './object-sets.ts';
import type { Asked, ObjectSet } from './object-sets.ts';
import { data, seconds } from './schemas.ts';

const attributes = [
  'id',
  'session_token',
  'username',
  'app_name',
  'source_ip',
  'creation_time',
  'last_modified',
  'expiry_time',
] as const;

type TokenRow = Readonly<Record<(typeof attributes)[number], Json>>;

/** @param token the token itself, where its bearer asks; nobody else is shown it */
function sayToken(signIn: SignInView, token: string | undefined): TokenRow {
  return {
    id: toWire('token', signIn.signInId),
    session_token: token ?? '',
    username: signIn.userName,
    app_name: signIn.application ?? '',
    source_ip: signIn.from ?? '',
    creation_time: seconds(signIn.createdAt),
    last_modified: seconds(signIn.createdAt),
    expiry_time: seconds(signIn.expiresAt),
  };
}

const SignIn = data({
  username: Type.String({ minLength: 1, maxLength: 64 }),
  password: Type.String({ maxLength: 256 }),
  app_name: Type.Optional(Type.String({ maxLength: 128 })),
  sdk_name: Type.Optional(Type.String({ maxLength: 128 })),
  source_ip: Type.Optional(Type.String({ maxLength: 64 })),
});

export const tokens: ObjectSet = {
  name: 'tokens',
  attributes,
  brief: ['id', 'username'],
  rows: async ({ app, caller, token }) =>
    (await app.listSignIns({ caller: signedIn(caller) })).map((signIn) =>
      sayToken(signIn, signIn.signInId === caller?.signInId ? token : undefined),
    ),
  create: operation({
    needs: 'nothing',
    schema: SignIn,
    run: async ({ app, from }, { username: name, password, app_name: application }) => {
      const { token, caller } = await app.signIn({ name, password, from, application });
      const all = await app.listSignIns({ caller });
      const made = all.find(({ signInId }) => signInId === caller.signInId);
      if (made === undefined) throw new Error('a token was made and is not there');
      return sayToken(made, token);
    },
  }),
  remove: operation({
    needs: 'view',
    schema: data({}),
    run: async ({ app, caller, id }) => {
      const signInId = fromWire<SignInId>('token', id)?.id;
      if (signInId !== undefined) await app.endSignIn({ signInId, caller: signedIn(caller) });
    },
  }),
};

function signedIn(caller: Asked['caller']): Caller {
  return caller ?? refuse({ code: 'unauthenticated', why: 'nobody has signed in' });
}
