/** Replication: the same verbs for a group and for a volume that stands alone. */
import { setTimeout as passes } from 'node:timers/promises';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { Job, ReprotectPreflight, Session } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { JobFailed } from './exit-codes.ts';
import { follow, request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { parseSeconds, parseSize, sayBytes, saySeconds } from './quantities.ts';
import { sessionFacts } from './session-words.ts';
import { facts } from './table.ts';
import type { Terminal } from './terminal.ts';
import { sayNames } from './trouble.ts';
import { addUnprotectCommand } from './unprotect-command.ts';

interface Settings {
  readonly rpo?: string;
  readonly limit?: string;
  readonly keep?: string;
  readonly mode?: string;
  readonly onLoss?: string;
  readonly stall?: string;
  readonly acceptUnboundedStall?: boolean;
}

export function addSessionCommands(
  command: Command,
  noun: 'group' | 'volume',
  terminal: Terminal,
): void {
  const owner = `<${noun}>`;
  const pathOf = (name: string): string => `/${noun}s/${segment(name)}`;

  longOptions(
    settings(
      command
        .command(`protect ${owner}`)
        .summary(`replicate a ${noun} to a peer`)
        .requiredOption('--to <peer>', 'the peer')
        .requiredOption('--rpo <time>', 'how old the copy may be, such as 30s or 5m'),
    ),
  ).action(
    onSite<[string], Settings & { to: string; rpo: string } & FollowOptions>(
      terminal,
      async (cli, [name], options) => {
        const body = { peer: options.to, ...settingsBody(options) };
        const path = `${pathOf(name)}/session`;
        await request(cli, { method: 'PUT', path, body }, options, () => {
          const when = saySeconds(parseSeconds(options.rpo));
          return `${noun} ${name} is replicated to ${options.to}, at most ${when} behind\n`;
        });
        if (options.watch === true && options.wait !== false) await firstCopy(cli, path);
      },
    ),
  );

  settings(
    command
      .command(`set ${owner}`)
      .summary('change how it is replicated')
      .option('--rpo <time>', 'how old the copy may be'),
  ).action(
    onSite<[string], Settings>(terminal, async (cli, [name], options) => {
      const path = `${pathOf(name)}/session`;
      const body = settingsBody(options);
      const session = await cli.api.ask<Session>({ method: 'PATCH', path, body });
      print(cli, session, () => facts(sessionFacts(session)));
    }),
  );

  addUnprotectCommand(command, noun, terminal);

  longOptions(command.command(`sync ${owner}`).summary('bring the copy up to date now')).action(
    onSite<[string], FollowOptions>(terminal, async (cli, [name], options) => {
      const asked = { method: 'POST', path: `${pathOf(name)}/session/sync` } as const;
      await request(cli, asked, options, () => `the copy of ${noun} ${name} is up to date\n`);
    }),
  );

  const change = (verb: string, summary: string): void => {
    command
      .command(`${verb} ${owner}`)
      .summary(summary)
      .action(
        onSite<[string]>(terminal, async (cli, [name]) => {
          const asked = { method: 'POST', path: `${pathOf(name)}/session/${verb}` } as const;
          const session = await cli.api.ask<Session>(asked);
          print(cli, session, () => facts([[noun, name], ...sessionFacts(session)]));
        }),
      );
  };
  change('pause', 'stop cycles until resumed; changes add up');
  change('resume', 'go on with cycles');
  change('release', 'let the hosts of a session that holds them go on alone');
  longOptions(
    command
      .command(`reprotect ${owner}`)
      .summary('replicate from the new holder, after a failover or with --no-reverse')
      .option('--dry-run', 'say how the copy would be brought up to date'),
  ).action(
    onSite<[string], { dryRun?: boolean } & FollowOptions>(terminal, async (cli, [name], asked) => {
      const { dryRun = false, ...options } = asked;
      const path = `${pathOf(name)}/session/reprotect`;
      if (dryRun) return dryReprotect(cli, path);
      await request(cli, { method: 'POST', path }, options, () => {
        return `${noun} ${name} is replicated from here\n`;
      });
    }),
  );
}

async function dryReprotect(cli: Cli, path: string): Promise<void> {
  const preflight = await cli.api.ask<ReprotectPreflight>({
    method: 'POST',
    path: `${path}/preflight`,
  });
  const { method, point, bytes = 0, expectedSeconds } = preflight;
  const blockedBy = await Promise.all(preflight.blockedBy.map((why) => sayNames(cli.api, why)));
  const how = {
    delta: point && `what differs since point ${point.sequence}, at least ${sayBytes(bytes)}`,
    comparison:
      `the sites have no point in common: both read ${sayBytes(bytes)} and compare it by ` +
      'hashes; what differs moves',
  };
  print(cli, preflight, () =>
    facts([
      ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
      ...blockedBy.map((why) => ['in the way', why] as const),
      ['lost writes', 'none: what the other site has of its own is set aside there'],
      ['the copy', method && how[method]],
      ['should take', expectedSeconds === undefined ? undefined : saySeconds(expectedSeconds)],
    ]),
  );
  if (blockedBy.length > 0) throw new JobFailed('reprotecting is not possible now');
}

const LOOK_AGAIN_MS = 200;

/** Follows the cycles until the destination has everything once. */
async function firstCopy(cli: Cli, path: string): Promise<void> {
  for (;;) {
    const session = await cli.api.ask<Session>({ method: 'GET', path });
    if (session.lastCycle !== undefined || session.state !== 'initializing') return;
    if (session.cycle === undefined) {
      await passes(LOOK_AGAIN_MS);
      continue;
    }
    const job = await cli.api.ask<Job>({ method: 'GET', path: `/jobs/${session.cycle.jobId}` });
    await follow(cli, job, true);
  }
}

function settings(command: Command): Command {
  return command
    .option('--limit <size>', 'bytes per second of the link, such as 50M; "none" lifts it')
    .option('--keep <number>', 'how many points the destination keeps')
    .addOption(
      new Option('--mode <mode>', 'sync: hosts are answered when both sites have a write').choices([
        'async',
        'sync',
      ]),
    )
    .option('--stall <time>', 'how long hosts wait for a lost destination, 1s to 10s')
    .addOption(
      new Option('--on-loss <what>', 'whether hosts then go on alone').choices([
        'continue',
        'hold',
      ]),
    )
    .option('--accept-unbounded-stall', 'although nothing here can end what a silent link holds');
}

function settingsBody(options: Settings): object {
  const { rpo, limit, keep, mode, stall, onLoss, acceptUnboundedStall } = options;
  return {
    ...(rpo !== undefined && { rpoSeconds: parseSeconds(rpo) }),
    ...(limit !== undefined && { bytesPerSecond: limit === 'none' ? null : parseSize(limit) }),
    ...(keep !== undefined && { retainedPoints: Number(keep) }),
    ...(mode !== undefined && { mode }),
    ...(stall !== undefined && { stallSeconds: parseSeconds(stall) }),
    ...(onLoss !== undefined && { onLoss }),
    ...(acceptUnboundedStall !== undefined && { acceptUnboundedStall }),
  };
}
