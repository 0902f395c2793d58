/**
 * The exchange of certificates that comes before two systems are paired. The vendor's is vouched for by
 * a password of the other system, which whoever answers at the address would learn. Here that password
 * is a one-time token, which also says whose certificate is meant, so nobody else can take the place.
 */
import { Type } from 'typebox';
import { isPairingToken } from '../../app/pair-sites.ts';
import { PowerStoreError } from './errors.ts';
import { resourceType } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Resource } from './routes.ts';
import { body } from './schemas.ts';

const MAX_PASSWORD_LENGTH = 4096;

const exchange = operation({
  needs: 'administer',
  schema: body({
    service: Type.Enum(['Replication_HTTP']),
    address: Type.String({ minLength: 1, maxLength: 253 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    username: Type.String({ maxLength: 256 }),
    password: Type.String({ maxLength: MAX_PASSWORD_LENGTH }),
  }),
  run: async ({ app }, { address, password: token }) => {
    if (!isPairingToken(token)) {
      const sentence =
        'The password has to be the one-time token that `baton peer invite` prints at the other ' +
        'system: whoever answers at the address would learn any other.';
      throw new PowerStoreError('remote_system_failed', sentence, address);
    }
    await app.joinPeer({ token, host: address });
    return {};
  },
});

export const x509Certificate: Resource = {
  type: resourceType({
    name: 'x509_certificate',
    attributes: ['id', 'type', 'service', 'scope', 'is_current', 'is_valid'],
    rows: () => Promise.resolve([]),
    isSimple: true,
  }),
  typeActions: { exchange },
};
