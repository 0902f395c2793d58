/** Replication and handover: the same verbs for a group and for a volume that stands alone. */
import { setTimeout as passes } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Job, Point, Preflight, Session } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { JobFailed } from './exit-codes.ts';
import { follow, request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { parseSeconds, parseSize, sayInstant, saySeconds } from './quantities.ts';
import { sessionFacts } from './session-words.ts';
import { facts, table } from './table.ts';
import type { Terminal } from './terminal.ts';

interface Settings {
  readonly rpo?: string;
  readonly limit?: string;
  readonly keep?: string;
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

  longOptions(
    command
      .command(`unprotect ${owner}`)
      .summary('end the replication')
      .option('--discard-copy', "delete the destination's copy, too"),
  ).action(
    onSite<[string], { discardCopy?: boolean } & FollowOptions>(
      terminal,
      async (cli, [name], { discardCopy = false, ...options }) => {
        const path = `${pathOf(name)}/session?discardCopy=${discardCopy}`;
        const copy = discardCopy ? 'its copy is deleted' : 'its copy stays at the destination';
        await request(cli, { method: 'DELETE', path }, options, () => {
          return `${noun} ${name} is not replicated any more; ${copy}\n`;
        });
      },
    ),
  );

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
  change('reprotect', 'replicate from the new holder, after a handover with --no-reverse');

  longOptions(
    command
      .command(`handover ${owner}`)
      .summary('pass it to its peer with no write lost')
      .option('--to <peer>', 'the peer (default: the one it is replicated to)')
      .option('--no-reverse', 'do not replicate back')
      .option('--dry-run', 'say what it would do, and what is in the way'),
  ).action(
    onSite<[string], HandoverOptions & FollowOptions>(terminal, (cli, [name], options) =>
      handOver(cli, noun, name, `${pathOf(name)}/handover`, options),
    ),
  );

  command
    .command(`points ${owner}`)
    .summary('list the recovery points at this site')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const points = await cli.api.list<Point>(`${pathOf(name)}/points`);
        print(cli, points, () => (points.length === 0 ? 'no recovery points\n' : tableOf(points)));
      }),
    );

  command
    .command(`hash ${owner} [point]`)
    .summary('hash what a recovery point holds; equal at both sites')
    .action(
      onSite<[string, string | undefined]>(terminal, (cli, [name, point]) =>
        hash(cli, pathOf(name), point),
      ),
    );
}

interface HandoverOptions {
  readonly to?: string;
  readonly reverse: boolean;
  readonly dryRun?: boolean;
}

async function handOver(
  cli: Cli,
  noun: string,
  name: string,
  path: string,
  { to, reverse, dryRun = false, ...options }: HandoverOptions & FollowOptions,
): Promise<void> {
  const body = { reverse, ...(to !== undefined && { to }) };
  if (!dryRun) {
    await request(cli, { method: 'POST', path, body }, options, ({ job }: { job: Job }) => {
      const took = Date.parse(job.endedAt ?? job.startedAt) - Date.parse(job.startedAt);
      return `${noun} ${name} was handed over in ${took} ms\n`;
    });
    return;
  }
  const { preflight } = await cli.api.ask<{ readonly preflight: Preflight }>({
    method: 'POST',
    path: `${path}?dryRun=true`,
    body,
  });
  const { blockedBy, expectedSeconds, newestPointAgeSeconds, epoch } = preflight;
  print(cli, preflight, () =>
    facts([
      ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
      ...blockedBy.map((why) => ['in the way', why] as const),
      ['lost writes', 'none: hosts are fenced before the last write moves'],
      ['should take', expectedSeconds === undefined ? undefined : saySeconds(expectedSeconds)],
      [
        'copy is behind',
        newestPointAgeSeconds === undefined ? undefined : saySeconds(newestPointAgeSeconds),
      ],
      ['epoch', `${epoch}, then ${epoch + 1}`],
    ]),
  );
  if (blockedBy.length > 0) throw new JobFailed(`a handover is not possible now`);
}

function tableOf(points: readonly Point[]): string {
  return table(
    [
      { heading: 'NUMBER', cell: ({ sequence }) => sequence, right: true },
      { heading: 'SEALED', cell: ({ sealedAt }) => sayInstant(sealedAt) },
      { heading: 'AT BOTH SITES', cell: ({ commonAt }) => commonAt && sayInstant(commonAt) },
      { heading: 'VOLUMES', cell: ({ volumes }) => volumes.length, right: true },
      { heading: 'ID', cell: ({ id }) => id },
    ],
    points,
  );
}

/** Hashing reads all data: hours for a large group. */
const HASH_TIMEOUT_MS = 24 * 60 * 60 * 1000;

async function hash(cli: Cli, path: string, wanted: string | undefined): Promise<void> {
  const points = await cli.api.list<Point>(`${path}/points`);
  const point = wanted ?? points.findLast(({ commonAt }) => commonAt !== undefined)?.id;
  if (point === undefined) throw new JobFailed('there is no recovery point that both sites have');
  const answer = await cli.api.ask<{
    readonly volumes: readonly { readonly volumeId: string; readonly hash: string }[];
  }>({
    method: 'POST',
    path: `${path}/points/${segment(point)}/hash`,
    timeoutMs: HASH_TIMEOUT_MS,
  });
  const names = new Map(
    points
      .flatMap(({ volumes }) => volumes as readonly { volumeId: string; name: string }[])
      .map(({ volumeId, name }) => [volumeId, name]),
  );
  print(cli, answer, () =>
    table(
      [
        { heading: 'VOLUME', cell: ({ volumeId }) => names.get(volumeId) ?? volumeId },
        { heading: 'SHA-256 OF 4 MiB BLOCKS', cell: (volume) => volume.hash },
      ],
      answer.volumes,
    ),
  );
}

const LOOK_AGAIN_MS = 200;

/** Follows the cycles until the destination has everything once. */
async function firstCopy(cli: Cli, path: string): Promise<void> {
  for (;;) {
    const signal = cli.terminal.interrupted;
    const session = await cli.api.ask<Session>({ method: 'GET', path, signal });
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
    .option('--keep <number>', 'how many points the destination keeps');
}

function settingsBody({ rpo, limit, keep }: Settings): object {
  return {
    ...(rpo !== undefined && { rpoSeconds: parseSeconds(rpo) }),
    ...(limit !== undefined && { bytesPerSecond: limit === 'none' ? null : parseSize(limit) }),
    ...(keep !== undefined && { retainedPoints: Number(keep) }),
  };
}
