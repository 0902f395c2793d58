import type { App } from '../app/app.ts';

/** What every dialect is given. */
export interface DialectOptions {
  readonly app: App;
  readonly log: FailureLog;
}

/** Where requests are written down that failed for no fault of their caller's. */
export interface FailureLog {
  error(line: { readonly event: string; readonly [member: string]: unknown }): void;
}
