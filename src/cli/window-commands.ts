/** A failover that is provisional stands at the end of its term; before, it is committed or rolled back. */
import type { Command } from 'commander';
import type { RollbackPreflight } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import { confirmOptions, confirmation, dryRun as showDry } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import type { Cli } from './cli.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { sayBytes, sayInstant, saySeconds } from './quantities.ts';
import { facts } from './table.ts';
import type { Terminal } from './terminal.ts';
import { sayNames } from './trouble.ts';

interface RollbackOptions extends ConfirmOptions {
  readonly dryRun?: boolean;
}

export function addWindowCommands(
  command: Command,
  noun: 'group' | 'volume',
  terminal: Terminal,
): void {
  const pathOf = (name: string): string => `/${noun}s/${segment(name)}/failover`;

  command
    .command(`commit <${noun}>`)
    .summary('a failover with --commit-after stands, before its term is over')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        await cli.api.ask({ method: 'POST', path: `${pathOf(name)}/commit` });
        print(cli, { committed: name }, () =>
          [
            `the failover of ${noun} ${name} stands`,
            `to replicate it again: baton ${noun} reprotect ${name}\n`,
          ].join('\n'),
        );
      }),
    );

  longOptions(
    confirmOptions(
      command
        .command(`rollback <${noun}>`)
        .summary('after failover --commit-after: return it to the other site, as it was there')
        .option('--dry-run', 'say what would be set aside, and print the confirmation'),
    ),
  ).action(
    onSite<[string], RollbackOptions & FollowOptions>(terminal, async (cli, [name], options) => {
      const { confirm, yes, dryRun = false, ...following } = options;
      const path = `${pathOf(name)}/rollback`;
      const show = (preflight: RollbackPreflight) => sayRollback(cli, preflight);
      if (dryRun) await showDry(cli, { path }, show, 'a rollback is not possible now');
      else {
        const given = { ...(confirm !== undefined && { confirm }), ...(yes && { yes }) };
        const token = await confirmation(cli, given, { path, body: {} }, show);
        const body = token === undefined ? {} : { confirmation: token };
        await request(cli, { method: 'POST', path, body }, following, () =>
          [
            `${noun} ${name} is held by the other site again, with what it had`,
            'what was written here is a fork: baton fork list\n',
          ].join('\n'),
        );
      }
    }),
  );
}

async function sayRollback({ api }: Cli, preflight: RollbackPreflight): Promise<string> {
  const { point, setAsideBytes, setAsideSeconds, endsAt, expectedSeconds } = preflight;
  const { confirmation: token } = preflight;
  const blockedBy = await Promise.all(preflight.blockedBy.map((why) => sayNames(api, why)));
  const written = `writes of the last ${saySeconds(setAsideSeconds)} here`;
  return facts([
    ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
    ...blockedBy.map((why) => ['in the way', why] as const),
    ['both sites had', point && `point ${point.sequence} of ${sayInstant(point.sealedAt)}`],
    ['set aside', endsAt && `${written}, about ${sayBytes(setAsideBytes)}`],
    ['possible until', endsAt && sayInstant(endsAt)],
    ['should take', expectedSeconds === undefined ? undefined : saySeconds(expectedSeconds)],
    ['confirmation', token && `--confirm ${token}`],
  ]);
}
