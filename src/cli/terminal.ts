/** What a command sees of the world around it, so that tests can be that world. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Somebody looks at the output: progress may rewrite its line. */
  readonly isInteractive: boolean;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Asks with what is typed shown; only where somebody looks. */
  readonly ask: (question: string) => Promise<string>;
  /** Asks without showing what is typed; without a keyboard, the next line of standard input. */
  readonly askSecret: (question: string) => Promise<string>;
  /** Aborts at Ctrl-C, and when it is terminated; the reason is the signal's name. */
  readonly interrupted: AbortSignal;
}
