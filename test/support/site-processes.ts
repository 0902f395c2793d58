/** The processes that work in a directory of a test's own, found by what they were told to run. */
import { readdirSync, readFileSync } from 'node:fs';
import { waitUntil } from '../../src/main/wait-until.ts';

const END_LIMIT_MS = 10_000;

export interface SeenProcess {
  readonly pid: number;
  readonly commandLine: string;
}

/** Zombies have no command line any more, so they do not count. */
export function processesIn(directory: string): readonly SeenProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({ pid: Number(name), commandLine: commandLineOf(Number(name)) }))
    .filter(({ commandLine }) => commandLine.includes(directory));
}

export function commandLineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch {
    return '';
  }
}

/** Sends the signal, and waits for the process to be gone where it ends it. */
export async function signalProcess(pid: number, signal: NodeJS.Signals): Promise<void> {
  process.kill(pid, signal);
  if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
  await waitUntil(`process ${pid} has ended`, END_LIMIT_MS, () =>
    Promise.resolve(hasEnded(pid) ? true : undefined),
  );
}

/** Its locks and sockets go after its memory, so having no command line is not enough. */
function hasEnded(pid: number): boolean {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const [state] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').slice(-1);
    return threads.length <= 1 && /^[ZX]/.test(state ?? '');
  } catch {
    return true;
  }
}

/** For the very end: whatever is left goes, and is told. */
export function killProcessesIn(directory: string): readonly SeenProcess[] {
  const left = processesIn(directory);
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  return left;
}
