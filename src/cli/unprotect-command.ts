/** The end of a replication; what takes the copy away, or is forced, is shown and asked for. */
import type { Command } from 'commander';
import type { UnprotectPreflight } from './answers.ts';
import { onSite, segment } from './cli.ts';
import { confirmOptions, confirmation, dryRun as showDry } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { facts } from './table.ts';
import type { Terminal } from './terminal.ts';

interface UnprotectOptions extends ConfirmOptions {
  readonly discardCopy?: boolean;
  readonly force?: boolean;
  readonly dryRun?: boolean;
}

export function addUnprotectCommand(
  command: Command,
  noun: 'group' | 'volume',
  terminal: Terminal,
): void {
  longOptions(
    confirmOptions(
      command
        .command(`unprotect <${noun}>`)
        .summary('end the replication')
        .option('--discard-copy', "delete the destination's copy, too")
        .option('--force', 'although the other site does not answer')
        .option('--dry-run', 'say what would be deleted, and print the confirmation'),
    ),
  ).action(
    onSite<[string], UnprotectOptions & FollowOptions>(terminal, async (cli, [name], options) => {
      const { discardCopy = false, force = false, confirm, yes, dryRun, ...following } = options;
      const path = `/${noun}s/${segment(name)}/session`;
      const body = { discardCopy, force };
      if (dryRun) return showDry(cli, { path, body }, sayUnprotect, 'it cannot be ended now');
      const given = { ...(confirm !== undefined && { confirm }), ...(yes && { yes }) };
      const token = await confirmation(cli, given, { path, body }, sayUnprotect);
      const query = new URLSearchParams({
        discardCopy: `${discardCopy}`,
        force: `${force}`,
        ...(token !== undefined && { confirmation: token }),
      });
      const copy = discardCopy ? 'its copy is deleted' : 'its copy stays at the destination';
      await request(
        cli,
        { method: 'DELETE', path: `${path}?${query.toString()}` },
        following,
        () => {
          return `${noun} ${name} is not replicated any more; ${copy}\n`;
        },
      );
    }),
  );
}

function sayUnprotect(preflight: UnprotectPreflight): Promise<string> {
  const { points, consequence, blockedBy, confirmation: token } = preflight;
  const said = facts([
    ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
    ...blockedBy.map((why) => ['in the way', why] as const),
    ['at the destination', `${points} point(s)`],
    ['what it does', blockedBy.length === 0 ? consequence : undefined],
    ['confirmation', token && `--confirm ${token}`],
  ]);
  return Promise.resolve(said);
}
