import { setTimeout as passes } from 'node:timers/promises';
import type { Command } from 'commander';
import { onSite } from './cli.ts';
import type { Cli } from './cli.ts';

import { SiteUnreachable, openStream } from './native-client.ts';
import { sayInstant } from './quantities.ts';
import type { Terminal } from './terminal.ts';

interface EventData {
  readonly kind: string;
  readonly change: 'inserted' | 'changed' | 'removed';
  readonly id: string;
  readonly at: string;
  readonly row?: {
    readonly name?: string;
    readonly state?: string;
    readonly kind?: string;
    readonly doing?: string;
    readonly sequence?: number;
  };
}

/** One block of the stream: an event, or a comment. */
interface Block {
  readonly id?: string;
  readonly event?: string;
  readonly data?: string;
  readonly comment?: string;
}

const AGAIN_MS = 1000;

export function addEventsCommand(program: Command, terminal: Terminal): void {
  program
    .command('events')
    .summary('what has changed at the site, oldest first')
    .option('--follow', 'go on with what changes from now on, until Ctrl-C')
    .option('--after <number>', 'begin after this event')
    .addHelpText('after', '\nWith -o json each line is one event.')
    .action(
      onSite<[], { follow?: boolean; after?: string }>(terminal, async (cli, _args, options) => {
        const { follow = false, after } = options;
        let seen = after ?? (follow ? undefined : '0');
        for (;;) {
          try {
            seen = await listen(cli, seen, follow);
          } catch (error) {
            if (terminal.interrupted.aborted) return;
            if (!(follow && seen !== undefined && error instanceof SiteUnreachable)) throw error;
            terminal.err(`${error.message}; trying again\n`);
          }
          if (!follow || terminal.interrupted.aborted) return;
          await passes(AGAIN_MS);
        }
      }),
    );
}

/** @returns the last event that came before the stream ended */
async function listen(
  cli: Cli,
  after: string | undefined,
  follow: boolean,
): Promise<string | undefined> {
  const { api, terminal } = cli;
  // Renews the token where that is possible; the stream cannot.
  await api.ask({ method: 'GET', path: '/site' });
  const path = after === undefined ? '/events' : `/events?after=${encodeURIComponent(after)}`;
  const chunks = await openStream(api.site, path, terminal.interrupted);
  let seen = after;
  try {
    for await (const block of blocksOf(chunks)) {
      seen = block.id ?? seen;
      if (block.comment === 'up to date' && !follow) return seen;
      if (block.data !== undefined) show(cli, block.event ?? '', block.data);
    }
  } catch (error) {
    if (!follow || terminal.interrupted.aborted) throw error;
  }
  return seen;
}

function show({ terminal, output }: Cli, event: string, data: string): void {
  if (event === 'reset') {
    terminal.err('events are missing here: the site keeps only the newest\n');
    return;
  }
  terminal.out(`${output === 'json' ? data : sayEvent(JSON.parse(data) as EventData)}\n`);
}

function sayEvent({ kind, change, id, at, row }: EventData): string {
  const name = row?.name ?? row?.kind ?? (row?.sequence === undefined ? id : `${row.sequence}`);
  const more = [row?.state, row?.doing].filter((part) => part !== undefined).join(': ');
  return [sayInstant(at), kind.padEnd(7), change.padEnd(8), name, more].join('  ').trimEnd();
}

async function* blocksOf(chunks: AsyncIterable<string>): AsyncGenerator<Block> {
  let text = '';
  for await (const chunk of chunks) {
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) yield parse(block);
  }
}

function parse(block: string): Block {
  if (block.startsWith(':')) return { comment: block.slice(1).trim() };
  const fields = block.split('\n').map((line) => {
    const at = line.indexOf(': ');
    return [line.slice(0, at), line.slice(at + 2)];
  });
  return Object.fromEntries(fields) as Block;
}
