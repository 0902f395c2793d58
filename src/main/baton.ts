import { Command } from 'commander';
import { addDemo } from './demo-command.ts';
import { addPair } from './pair-command.ts';
import { addServe } from './serve.ts';

const program = new Command('baton').description('Disaster recovery for block storage.');
addServe(program);
addPair(program);
addDemo(program);

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`baton: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
