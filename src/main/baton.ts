import { processTerminal } from '../cli/process-terminal.ts';
import { buildProgram, run } from '../cli/program.ts';
import { bridges } from './bridges.ts';
import { addDemo } from './demo-command.ts';
import { addPair } from './pair-command.ts';
import { addServe } from './serve.ts';

const terminal = processTerminal();
const program = buildProgram({ terminal, bridges });
addServe(program);
addPair(program);
addDemo(program);

process.exitCode = await run(program, process.argv.slice(2), terminal);
