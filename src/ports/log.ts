/** Structured log: one line per state change, step and refusal. Never secrets or volume data. */
export interface Log {
  info(line: LogLine): void;
  warn(line: LogLine): void;
  /** Somebody should act. */
  error(line: LogLine): void;
}

export interface LogLine {
  /** What happened, as a past participle: `saga_step_done`. */
  readonly event: string;
  readonly [member: string]: unknown;
}
