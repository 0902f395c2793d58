import type { DialectOptions } from '../options.ts';

export interface EvsOptions extends DialectOptions {
  /** Where clients find the two services; they are listed in every token's catalog. */
  readonly urls: DialectUrls;
}

export interface DialectUrls {
  readonly evs: string;
  readonly identity: string;
}
