import type { App } from '../../app/app.ts';
import type { FailureLog } from './problems.ts';

export interface NativeOptions {
  readonly app: App;
  /** Where requests are written down that failed for no fault of their caller's. */
  readonly log: FailureLog;
}
