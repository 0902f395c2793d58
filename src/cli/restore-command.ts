/** A group, or a volume that stands alone, goes back to what it was. */
import type { Command } from 'commander';
import type { RestorePreflight } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { JobFailed } from './exit-codes.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { sayBytes, sayInstant, saySeconds } from './quantities.ts';
import { facts } from './table.ts';
import type { Terminal } from './terminal.ts';

interface RestoreOptions {
  readonly point?: string;
  readonly fork?: string;
  readonly confirm?: string;
  readonly dryRun?: boolean;
}

export function addRestoreCommand(
  command: Command,
  noun: 'group' | 'volume',
  terminal: Terminal,
): void {
  longOptions(
    command
      .command(`restore <${noun}>`)
      .summary('go back to a point, or to a fork; what was written since is set aside')
      .option('--point <id>', 'to this point')
      .option('--fork <id>', 'to this fork: undoes a restore')
      .option('--dry-run', 'say what would be set aside, and print the confirmation')
      .option('--confirm <token>', 'what --dry-run printed: you have seen what is set aside'),
  ).action(
    onSite<[string], RestoreOptions & FollowOptions>(terminal, async (cli, [name], options) => {
      const { point, fork, confirm, dryRun = false, ...following } = options;
      const path = `/${noun}s/${segment(name)}/restore`;
      const body = {
        ...(point !== undefined && { point }),
        ...(fork !== undefined && { fork }),
        ...(confirm !== undefined && { confirmation: confirm }),
      };
      if (dryRun) await dryRestore(cli, path, body);
      else {
        await request(cli, { method: 'POST', path, body }, following, () =>
          [
            `${noun} ${name} is what it was then; what was written since is a fork`,
            `to undo it: baton fork list, then baton ${noun} restore ${name} --fork ID\n`,
          ].join('\n'),
        );
      }
    }),
  );
}

async function dryRestore(cli: Cli, path: string, body: object): Promise<void> {
  const { preflight } = await cli.api.ask<{ readonly preflight: RestorePreflight }>({
    method: 'POST',
    path: `${path}?dryRun=true`,
    body,
  });
  const { point, pointAgeSeconds = 0, setAsideBytes, setAsidePoints, blockedBy } = preflight;
  const { confirmation } = preflight;
  print(cli, preflight, () =>
    facts([
      ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
      ...blockedBy.map((why) => ['in the way', why] as const),
      ['stands on', point && `point ${point.sequence} of ${sayInstant(point.sealedAt)}`],
      [
        'set aside',
        point &&
          `writes of the last ${saySeconds(pointAgeSeconds)}, about ${sayBytes(setAsideBytes)}, ` +
            `${setAsidePoints} point(s)`,
      ],
      ['confirmation', confirmation && `--confirm ${confirmation}`],
    ]),
  );
  if (blockedBy.length > 0) throw new JobFailed('going back is not possible now');
}
