/**
 * Secrets of this site, encrypted with a key that is a file of its own: who reads the store, or a
 * backup of it without the key, learns none. AES-256-GCM; a sealed secret is one line of text:
 *
 *   v1.<nonce, 12 bytes>.<tag, 16 bytes>.<ciphertext>      each part base64url
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { Failure } from '../domain/refusal.ts';
import type { Vault } from '../ports/vault.ts';

export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const CIPHER = 'aes-256-gcm';
const VERSION = 'v1';

export function siteVault(key: Buffer): Vault {
  return {
    seal: (secret, about) => {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(about));
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      const parts = [nonce, cipher.getAuthTag(), text];
      return [VERSION, ...parts.map((part) => part.toString('base64url'))].join('.');
    },
    open: (sealed, about) => {
      const [version, ...parts] = sealed.split('.');
      const [nonce, tag, text] = parts.map((part) => Buffer.from(part, 'base64url'));
      if (version !== VERSION || nonce === undefined || tag === undefined || text === undefined) {
        throw new Failure(`a secret of ${about} has a form that this version does not know`);
      }
      try {
        const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: 16 });
        decipher.setAAD(Buffer.from(about)).setAuthTag(tag);
        return decipher.update(text, undefined, 'utf8') + decipher.final('utf8');
      } catch (cause) {
        const why = 'it was sealed with another site key, or was changed; enter it again';
        throw new Failure(`a secret of ${about} cannot be opened: ${why}`, { cause });
      }
    },
  };
}
