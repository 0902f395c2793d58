import { spawn } from 'node:child_process';

/** How long one tool may take; an e2fsck of some TiB takes minutes. */
const TOOL_LIMIT_MS = 30 * 60_000;
const KEPT_CHARACTERS = 2_000;

export interface ToolRun {
  /** Absent: it is not installed, or did not end in time. */
  readonly code: number | undefined;
  /** The end of what it printed, both ways. */
  readonly said: string;
  /** Why there is no exit code. */
  readonly why: string | undefined;
}

/** Runs a program to its end; it does not outlive this process, and never fails the caller. */
export function runTool(
  command: readonly [string, ...string[]],
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<ToolRun> {
  const [program, ...args] = command;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TOOL_LIMIT_MS)]);
  return new Promise((resolve, reject) => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env, LC_ALL: 'C' },
      signal: limit,
      killSignal: 'SIGKILL',
    });
    let said = '';
    const keep = (text: string): void => void (said = (said + text).slice(-KEPT_CHARACTERS));
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.once('error', (error) => {
      if (signal.aborted) reject(signal.reason as Error);
      else resolve({ code: undefined, said, why: `${program} did not end: ${error.message}` });
    });
    child.once('close', (code) => {
      // What setpriv says of a program that is not there.
      const isMissing = said.includes('setpriv: failed to execute');
      const why = isMissing ? `${program} is not installed` : undefined;
      resolve({ code: isMissing ? undefined : (code ?? undefined), said: said.trim(), why });
    });
  });
}
