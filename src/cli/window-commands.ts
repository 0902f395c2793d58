/** A failover that is provisional stands at the end of its term; before, it is committed or rolled back. */
import type { Command } from 'commander';
import type { RollbackPreflight } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { JobFailed } from './exit-codes.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { sayBytes, sayInstant, saySeconds } from './quantities.ts';
import { facts } from './table.ts';
import type { Terminal } from './terminal.ts';
import { sayNames } from './trouble.ts';

interface RollbackOptions {
  readonly confirm?: string;
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
    command
      .command(`rollback <${noun}>`)
      .summary('after failover --commit-after: return it to the other site, as it was there')
      .option('--dry-run', 'say what would be set aside, and print the confirmation')
      .option('--confirm <token>', 'what --dry-run printed: you have seen what is set aside'),
  ).action(
    onSite<[string], RollbackOptions & FollowOptions>(terminal, async (cli, [name], options) => {
      const { confirm, dryRun = false, ...following } = options;
      const path = `${pathOf(name)}/rollback`;
      const body = confirm === undefined ? {} : { confirmation: confirm };
      if (dryRun) await dryRollback(cli, path);
      else {
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

async function dryRollback(cli: Cli, path: string): Promise<void> {
  const { preflight } = await cli.api.ask<{ readonly preflight: RollbackPreflight }>({
    method: 'POST',
    path: `${path}?dryRun=true`,
    body: {},
  });
  const { point, setAsideBytes, setAsideSeconds, endsAt, confirmation } = preflight;
  const blockedBy = await Promise.all(preflight.blockedBy.map((why) => sayNames(cli.api, why)));
  print(cli, preflight, () =>
    facts([
      ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
      ...blockedBy.map((why) => ['in the way', why] as const),
      ['both sites had', point && `point ${point.sequence} of ${sayInstant(point.sealedAt)}`],
      [
        'set aside',
        endsAt &&
          `writes of the last ${saySeconds(setAsideSeconds)} here, about ${sayBytes(setAsideBytes)}`,
      ],
      ['possible until', endsAt && sayInstant(endsAt)],
      ['confirmation', confirmation && `--confirm ${confirmation}`],
    ]),
  );
  if (blockedBy.length > 0) throw new JobFailed('a rollback is not possible now');
}
