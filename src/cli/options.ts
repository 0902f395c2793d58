import type { Command } from 'commander';

/** Of every command that starts a job. */
export function longOptions(command: Command): Command {
  return command
    .option('--no-wait', 'do not wait for the end: print the job and return')
    .option('--watch', 'show how it goes on');
}
