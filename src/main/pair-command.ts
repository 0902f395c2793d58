import type { Command } from 'commander';
import type { PairDescription } from './pair-files.ts';

interface UpFlags {
  readonly dir: string;
  readonly addressA?: string;
  readonly addressB?: string;
  readonly portOffset?: number;
  readonly password?: string;
  readonly unpaired?: boolean;
  readonly json?: boolean;
}

export function addPair(program: Command): void {
  const pair = program
    .command('pair')
    .summary('two paired sites on this machine, to try things out');

  pair
    .command('up')
    .summary('start them; returns when both answer')
    .requiredOption('--dir <directory>', 'where they keep everything')
    .option('--address-a <ip>', 'of the first site (default: 127.0.0.1)')
    .option('--address-b <ip>', 'of the second (default: 127.0.0.2)')
    .option('--port-offset <number>', 'move every port up by this much', wholeNumber)
    .option('--password <password>', 'of the administrator (default: one is made)')
    .option('--unpaired', 'leave the pairing to the caller')
    .option('--json', 'print what automation needs to reach them')
    .action(async ({ json, ...options }: UpFlags) => {
      const { pairUp } = await import('./pair.ts');
      print(await pairUp(options), json);
    });

  pair
    .command('status')
    .requiredOption('--dir <directory>', 'as given to "up"')
    .option('--json')
    .action(async ({ dir, json }: { dir: string; json?: boolean }) => {
      const { pairStatus } = await import('./pair.ts');
      const status = await pairStatus(dir);
      if (json === true) return print(status, true);
      for (const { name, state, pid, native } of status.sites) {
        process.stdout.write(`${name.padEnd(8)} ${state.padEnd(6)} ${pid ?? '-'}  ${native}\n`);
      }
    });

  pair
    .command('down')
    .summary('stop them and their data planes; the data stays')
    .requiredOption('--dir <directory>', 'as given to "up"')
    .action(async ({ dir }: { dir: string }) => {
      const { pairDown } = await import('./pair.ts');
      await pairDown(dir);
    });
}

function print(pair: PairDescription, json: boolean | undefined): void {
  if (json === true) {
    process.stdout.write(`${JSON.stringify(pair, undefined, 2)}\n`);
    return;
  }
  for (const { name, native, username, password, caFile } of pair.sites) {
    process.stdout.write(
      `${name.padEnd(8)} ${native}\n  user ${username}, password ${password}\n  certificate ${caFile}\n`,
    );
  }
  process.stdout.write(
    `\nNext: ./baton --pair ${pair.dir} --at paris volume create data1 --size 1G\n`,
  );
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw new Error(`wanted a whole number, got "${text}"`);
}
