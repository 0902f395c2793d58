import type { Command } from 'commander';
import type { Fork, Named } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import { sayBytes, sayInstant } from './quantities.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

/** Histories that were set aside by a failover: nothing is thrown away by itself. */
export function addForkCommands(fork: Command, terminal: Terminal): void {
  fork
    .command('list')
    .alias('ls')
    .summary('list the histories that were set aside')
    .option('--group <group>', 'of this group')
    .action(
      onSite<[], { group?: string }>(terminal, async (cli, _args, { group }) => {
        const query = group === undefined ? '' : `?group=${encodeURIComponent(group)}`;
        const forks = await cli.api.list<Fork>(`/forks${query}`);
        const site = await cli.api.ask<Named>({ method: 'GET', path: '/site' });
        print(cli, forks, () => (forks.length === 0 ? 'no forks\n' : tableOf(forks, site.id)));
      }),
    );

  fork
    .command('discard <fork>')
    .summary('delete a fork and its bytes, where they are')
    .action(
      onSite<[string]>(terminal, async (cli, [id]) => {
        await cli.api.ask({ method: 'DELETE', path: `/forks/${segment(id)}` });
        print(cli, { discarded: id }, () => `fork ${id} is discarded\n`);
      }),
    );
}

function tableOf(forks: readonly Fork[], here: string): string {
  return table(
    [
      { heading: 'NAME', cell: ({ name }) => name },
      { heading: 'SIZE', cell: ({ allocatedBytes }) => sayBytes(allocatedBytes), right: true },
      { heading: 'AT', cell: ({ siteId }) => (siteId === here ? 'here' : 'the other site') },
      { heading: 'SET ASIDE', cell: ({ setAsideAt }) => sayInstant(setAsideAt) },
      { heading: 'KEPT UNTIL', cell: ({ expiresAt }) => sayInstant(expiresAt) },
      { heading: 'ID', cell: ({ id }) => id },
    ],
    forks,
  );
}
