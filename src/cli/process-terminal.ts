import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Terminal } from './terminal.ts';

/** The terminal that this process was started in. */
export function processTerminal(): Terminal {
  let interrupt: AbortController | undefined;
  // Who reads through `head` has seen enough: no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    env: process.env,
    isInteractive: process.stdout.isTTY,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    ask,
    askSecret,
    get interrupted() {
      interrupt ??= abortAtSignal();
      return interrupt.signal;
    },
  };
}

/** Only from when somebody listens: before, a signal ends the process as any other. */
function abortAtSignal(): AbortController {
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupt.abort(signal));
  }
  return interrupt;
}

async function ask(question: string): Promise<string> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = new Promise<string>((resolve) => {
      lines.question(`${question} `, resolve);
      lines.once('close', () => resolve(''));
    });
    return await answer;
  } finally {
    lines.close();
  }
}

async function askSecret(question: string): Promise<string> {
  const { stdin, stderr } = process;
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: silent, terminal: stdin.isTTY });
  if (stdin.isTTY) stderr.write(`${question}: `);
  try {
    const [line] = (await Promise.race([once(lines, 'line'), once(lines, 'close')])) as string[];
    return line ?? '';
  } finally {
    lines.close();
    if (stdin.isTTY) stderr.write('\n');
  }
}
