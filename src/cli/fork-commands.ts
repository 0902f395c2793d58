import type { Command } from 'commander';
import type { DiscardPreflight, Fork, Named } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import { confirmOptions, confirmation, dryRun as showDry } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { sayBytes, sayInstant } from './quantities.ts';
import { facts, table } from './table.ts';
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

  confirmOptions(
    fork
      .command('discard <fork>')
      .summary('delete a fork and its bytes, where they are')
      .option('--dry-run', 'say what would be deleted, and print the confirmation'),
  ).action(
    onSite<[string], DiscardOptions>(terminal, async (cli, [id], { dryRun = false, ...given }) => {
      const path = `/forks/${segment(id)}`;
      if (dryRun) return showDry(cli, { path, body: {} }, sayDiscard, 'it cannot be discarded now');
      const token = await confirmation(cli, given, { path, body: {} }, sayDiscard);
      const query = token === undefined ? '' : `?confirmation=${encodeURIComponent(token)}`;
      await cli.api.ask({ method: 'DELETE', path: `${path}${query}` });
      print(cli, { discarded: id }, () => `fork ${id} is discarded\n`);
    }),
  );
}

interface DiscardOptions extends ConfirmOptions {
  readonly dryRun?: boolean;
}

function sayDiscard({ fork, blockedBy, confirmation: token }: DiscardPreflight): Promise<string> {
  const said = facts([
    ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
    ...blockedBy.map((why) => ['in the way', why] as const),
    ['fork', fork.name],
    ['deleted for good', sayBytes(fork.allocatedBytes)],
    ['set aside', sayInstant(fork.setAsideAt)],
    ['goes by itself', sayInstant(fork.expiresAt)],
    ['confirmation', token && `--confirm ${token}`],
  ]);
  return Promise.resolve(said);
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
