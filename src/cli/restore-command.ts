/** A group, or a volume that stands alone, goes back to what it was. */
import type { Command } from 'commander';
import type { RestorePreflight } from './answers.ts';
import { onSite, segment } from './cli.ts';
import { confirmOptions, confirmation, dryRun as showDry } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { sayBytes, sayInstant, saySeconds } from './quantities.ts';
import { facts } from './table.ts';
import type { Terminal } from './terminal.ts';

interface RestoreOptions extends ConfirmOptions {
  readonly point?: string;
  readonly fork?: string;
  readonly dryRun?: boolean;
}

export function addRestoreCommand(
  command: Command,
  noun: 'group' | 'volume',
  terminal: Terminal,
): void {
  longOptions(
    confirmOptions(
      command
        .command(`restore <${noun}>`)
        .summary('go back to a point, or to a fork; what was written since is set aside')
        .option('--point <id>', 'to this point')
        .option('--fork <id>', 'to this fork: undoes a restore')
        .option('--dry-run', 'say what would be set aside, and print the confirmation'),
    ),
  ).action(
    onSite<[string], RestoreOptions & FollowOptions>(terminal, async (cli, [name], options) => {
      const { point, fork, confirm, yes, dryRun = false, ...following } = options;
      const path = `/${noun}s/${segment(name)}/restore`;
      const body = {
        ...(point !== undefined && { point }),
        ...(fork !== undefined && { fork }),
      };
      if (dryRun) await showDry(cli, { path, body }, sayRestore, 'going back is not possible now');
      else {
        const given = { ...(confirm !== undefined && { confirm }), ...(yes && { yes }) };
        const token = await confirmation(cli, given, { path, body }, sayRestore);
        const asked = { ...body, ...(token !== undefined && { confirmation: token }) };
        await request(cli, { method: 'POST', path, body: asked }, following, () =>
          [
            `${noun} ${name} is what it was then; what was written since is a fork`,
            `to undo it: baton fork list, then baton ${noun} restore ${name} --fork ID\n`,
          ].join('\n'),
        );
      }
    }),
  );
}

function sayRestore(preflight: RestorePreflight): Promise<string> {
  const { point, pointAgeSeconds = 0, setAsideBytes, setAsidePoints, blockedBy } = preflight;
  const { confirmation: token, expectedSeconds } = preflight;
  const said = facts([
    ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
    ...blockedBy.map((why) => ['in the way', why] as const),
    ['stands on', point && `point ${point.sequence} of ${sayInstant(point.sealedAt)}`],
    [
      'set aside',
      point &&
        `writes of the last ${saySeconds(pointAgeSeconds)}, about ${sayBytes(setAsideBytes)}, ` +
          `${setAsidePoints} point(s)`,
    ],
    ['should take', expectedSeconds === undefined ? undefined : saySeconds(expectedSeconds)],
    ['confirmation', token && `--confirm ${token}`],
  ]);
  return Promise.resolve(said);
}
