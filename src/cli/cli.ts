import type { Command } from 'commander';
import { connect } from './connection.ts';
import type { Api, ConnectionOptions } from './connection.ts';
import type { Terminal } from './terminal.ts';
import { withNames } from './trouble.ts';

/** What a command has at hand once it knows its site. */
export interface Cli {
  readonly api: Api;
  readonly terminal: Terminal;
  readonly output: 'table' | 'json';
}

export interface GlobalOptions extends ConnectionOptions {
  readonly output: 'table' | 'json';
}

/**
 * A command's action: connects, then does the work.
 *
 * @param work gets the command's arguments in their order, then its options
 */
export function onSite<Arguments extends readonly unknown[], Options = object>(
  terminal: Terminal,
  work: (cli: Cli, args: Arguments, options: Options & GlobalOptions) => Promise<void>,
): (...all: unknown[]) => Promise<void> {
  return async (...all) => {
    // Commander hands over the arguments, the options, and the command itself.
    const command = all.at(-1) as Command;
    const options = command.optsWithGlobals<Options & GlobalOptions>();
    const api = await connect(terminal, options);
    const args = all.slice(0, -2) as unknown as Arguments;
    try {
      await work({ api, terminal, output: options.output }, args, options);
    } catch (error) {
      throw await withNames(api, error);
    }
  };
}

/** Prints for people, or what the site said for programs. */
export function print({ output, terminal }: Cli, answer: unknown, human: () => string): void {
  terminal.out(output === 'json' ? `${JSON.stringify(answer, undefined, 2)}\n` : human());
}

/** A part of a path, from whatever was typed. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}
