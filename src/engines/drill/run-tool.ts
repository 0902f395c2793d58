import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as passes } from 'node:timers/promises';

/** How long one tool may take; an e2fsck of some TiB takes minutes. */
const TOOL_LIMIT_MS = 30 * 60_000;
/** What has ended has printed all; only a process that left its group may hold the pipe. */
const OUTPUT_LIMIT_MS = 1_000;
/** A tool names what it cannot do at the beginning, and what it found at the end. */
const KEPT_CHARACTERS_EACH = 16_000;

export interface ToolRun {
  /** Absent: it is not installed, or did not end by itself, or not in time. */
  readonly code: number | undefined;
  /** What it printed, both ways: of very much the beginning and the end. */
  readonly said: string;
  /** Why there is no exit code. */
  readonly why: string | undefined;
}

/**
 * Runs a program to its end, which is the end of all that it started, too. It does not outlive this
 * process.
 *
 * @throws the signal's reason when that is aborted, and nothing else: the program is told to end, and
 *   is not waited for, since it may hang in a read that ends only with its file
 */
export async function runTool(
  command: readonly [string, ...string[]],
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
): Promise<ToolRun> {
  signal.throwIfAborted();
  const [program, ...args] = command;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TOOL_LIMIT_MS)]);
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env, LC_ALL: 'C' },
    detached: true,
  });
  const said = new Said();
  child.stdout.setEncoding('utf8').on('data', (text: string) => said.add(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => said.add(text));
  const closed = new Promise<void>((resolve) => void child.once('close', () => resolve()));
  try {
    const [code, by] = (await once(child, 'exit', { signal: limit }).finally(() =>
      endGroup(child),
    )) as [number | null, string];
    await Promise.race([closed, passes(OUTPUT_LIMIT_MS, undefined, { ref: false })]);
    return ended(program, code, by, said.text());
  } catch (error) {
    signal.throwIfAborted();
    const why = limit.aborted ? `within ${TOOL_LIMIT_MS / 60_000} minutes` : String(error);
    return { code: undefined, said: said.text(), why: `${program} did not end: ${why}` };
  } finally {
    child.stdout.destroy();
    child.stderr.destroy();
    child.unref();
  }
}

class Said {
  #head = '';
  #tail = '';
  #hasGap = false;

  add(text: string): void {
    const room = KEPT_CHARACTERS_EACH - this.#head.length;
    this.#head += text.slice(0, room);
    const rest = this.#tail + text.slice(room);
    this.#hasGap ||= rest.length > KEPT_CHARACTERS_EACH;
    this.#tail = rest.slice(-KEPT_CHARACTERS_EACH);
  }

  text(): string {
    return `${this.#head}${this.#hasGap ? '\n…\n' : ''}${this.#tail}`.trim();
  }
}

function ended(program: string, code: number | null, by: string, said: string): ToolRun {
  if (code === null) return { code: undefined, said, why: `${program} was ended by ${by}` };
  // What setpriv says of a program that is not there.
  const isMissing = said.includes('setpriv: failed to execute');
  if (isMissing) return { code: undefined, said, why: `${program} is not installed` };
  return { code, said, why: undefined };
}

/** Ends it and what it started. Does nothing where none of them is left. */
function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
