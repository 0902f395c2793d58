/** Keeps what nobody may read from the store or from a backup of it alone. */
export interface Vault {
  /** @param about what the secret belongs to: it opens for that and nothing else */
  seal(secret: string, about: string): string;

  /** @throws Failure when it was sealed with another key, for something else, or was changed */
  open(sealed: string, about: string): string;
}
