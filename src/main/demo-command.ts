import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';

interface DemoFlags {
  readonly exit?: boolean;
  readonly dir?: string;
  readonly portOffset?: number;
}

export function addDemo(program: Command): void {
  program
    .command('demo')
    .summary('watch a group pass between two sites and back under a live writer')
    .description(
      `Starts two sites on this machine, replicates a group of three volumes under a numbered writer,
hands it over and back, and looks for every acknowledged write. Then goes on serving until
Ctrl-C, unless --exit. Ends with 0 only if nothing was lost and both sites' bytes are equal.`,
    )
    .option('--exit', 'end after the report')
    .option('--dir <directory>', 'keep the sites here (default: a new one, deleted at the end)')
    .option('--port-offset <number>', 'move every port up by this much', Number)
    .action((flags: DemoFlags) => demo(flags));
}

async function demo({ exit = false, dir: given, portOffset = 0 }: DemoFlags): Promise<void> {
  const [{ runDemo }, { DemoReport }, { pairDown, pairUp }] = await Promise.all([
    import('./demo.ts'),
    import('./demo-steps.ts'),
    import('./pair.ts'),
  ]);
  const print = (text: string): void => void process.stdout.write(`${text}\n`);
  const dir = given ?? (await mkdtemp(join(tmpdir(), 'baton-demo-')));
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt);
  process.once('SIGTERM', interrupt);
  try {
    const start = new DemoReport(print);
    const pair = await start.step(
      'start two sites and pair them',
      () => pairUp({ dir, portOffset }),
      ({ sites }) => sites.map((s) => `${s.name} ${s.address}`).join(', '),
    );
    const { held } = await Promise.race([runDemo(pair, print), abortOf(interrupted.signal)]);
    print(held ? '\nEvery promise held.' : '\nNOT every promise held: see above.');
    process.exitCode = held ? 0 : 1;
    if (exit) return;
    print(`\nBoth sites go on. In another terminal: ./baton --pair ${dir} --at paris group list`);
    print('Ctrl-C ends them.');
    await untilAborted(interrupted.signal);
  } finally {
    await pairDown(dir);
    if (given === undefined) await rm(dir, { recursive: true, force: true });
  }
}

/** Waiting for a signal does not keep a process alive by itself. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  const alive = setInterval(() => undefined, 60_000);
  try {
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    clearInterval(alive);
  }
}

async function abortOf(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort');
  throw signal.reason;
}
