/** A group, or a volume that stands alone, passes to the other site: planned, or without it. */
import type { Command } from 'commander';
import type { FailoverLoss, FailoverPreflight, Job, Point, Preflight } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { confirmOptions, confirmation, dryRun as showDry } from './confirm.ts';
import type { ConfirmOptions } from './confirm.ts';
import { JobFailed } from './exit-codes.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { parseSeconds, sayBytes, sayInstant, saySeconds } from './quantities.ts';
import { facts } from './table.ts';
import type { Terminal } from './terminal.ts';
import { sayNames } from './trouble.ts';

interface HandoverOptions {
  readonly to?: string;
  readonly reverse: boolean;
  readonly dryRun?: boolean;
}

interface FailoverOptions extends ConfirmOptions {
  readonly point?: string;
  readonly force?: boolean;
  readonly testCopy?: boolean;
  readonly fork?: string;
  readonly commitAfter?: string;
  readonly dryRun?: boolean;
}

export function addMoveCommands(
  command: Command,
  noun: 'group' | 'volume',
  terminal: Terminal,
): void {
  const pathOf = (name: string): string => `/${noun}s/${segment(name)}`;

  longOptions(
    command
      .command(`handover <${noun}>`)
      .summary('pass it to its peer with no write lost')
      .option('--to <peer>', 'the peer (default: the one it is replicated to)')
      .option('--no-reverse', 'do not replicate back')
      .option('--dry-run', 'say what it would do, and what is in the way'),
  ).action(
    onSite<[string], HandoverOptions & FollowOptions>(terminal, async (cli, [name], options) => {
      const { to, reverse, dryRun = false, ...following } = options;
      const path = `${pathOf(name)}/handover`;
      const body = { reverse, ...(to !== undefined && { to }) };
      if (dryRun) await dryHandover(cli, path, body);
      else {
        const asked = { method: 'POST', path, body } as const;
        await request<{ job: Job }>(cli, asked, following, ({ job }) =>
          sayHandover(noun, name, job),
        );
      }
    }),
  );

  longOptions(
    confirmOptions(
      command
        .command(`failover <${noun}>`)
        .summary('take it without the other site, on its newest complete point')
        .option('--point <id>', 'on this point; later ones are set aside')
        .option('--test-copy', 'on what the running failover test has written')
        .option('--fork <id>', 'on a history that was set aside at this site')
        .option('--force', 'also at a site from which it was taken and is not replicated back')
        .option('--commit-after <time>', 'such as 4h: until then it can be rolled back')
        .option('--dry-run', 'say what would be lost, and print the confirmation'),
    ),
  ).action(
    onSite<[string], FailoverOptions & FollowOptions>(terminal, async (cli, [name], options) => {
      const { point, confirm, yes, force, testCopy, fork, ...rest } = options;
      const { commitAfter, dryRun, ...following } = rest;
      const path = `${pathOf(name)}/failover`;
      const body = {
        ...(point !== undefined && { point }),
        ...(force !== undefined && { force }),
        ...(testCopy !== undefined && { useTestCopy: testCopy }),
        ...(fork !== undefined && { fork }),
        ...(commitAfter !== undefined && { commitAfterSeconds: parseSeconds(commitAfter) }),
      };
      const show = (preflight: FailoverPreflight) => sayFailover(cli, preflight);
      if (dryRun === true) {
        await showDry(cli, { path, body }, show, 'a failover is not possible now');
      } else {
        const given = { ...(confirm !== undefined && { confirm }), ...(yes && { yes }) };
        const token = await confirmation(cli, given, { path, body }, show);
        const confirmed = { ...body, ...(token !== undefined && { confirmation: token }) };
        const asked = { method: 'POST', path, body: confirmed } as const;
        await request<FailoverAnswer>(cli, asked, following, (answer) =>
          [
            `${noun} ${name} is held here, on ${sayPoint(answer.point)}`,
            `lost: ${sayLoss(answer.loss)}; what the other site wrote since is set aside there`,
            commitAfter === undefined
              ? `when it is back: baton ${noun} reprotect ${name}\n`
              : `for ${saySeconds(parseSeconds(commitAfter))}: baton ${noun} rollback ${name}, or commit ${name}\n`,
          ].join('\n'),
        );
      }
    }),
  );

  command
    .command(`acknowledge <${noun}>`)
    .summary('somebody has seen that it was taken by force')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        await cli.api.ask({ method: 'POST', path: `${pathOf(name)}/failover/acknowledge` });
        print(
          cli,
          { acknowledged: name },
          () => `${noun} ${name} is not shown as forced any more\n`,
        );
      }),
    );
}

/** How long it took, and how long hosts could not write. */
function sayHandover(noun: string, name: string, job: Job): string {
  const { startedAt, endedAt = startedAt, steps } = job;
  const fenced = steps.find((step) => step.name === 'fence');
  const taken = steps.find((step) => step.name === 'take');
  const waited =
    fenced === undefined || taken === undefined
      ? ''
      : `; hosts waited ${Date.parse(taken.startedAt) + Math.round(taken.durationMs) - Date.parse(fenced.startedAt)} ms`;
  const tookMs = Date.parse(endedAt) - Date.parse(startedAt);
  return `${noun} ${name} was handed over in ${tookMs} ms${waited}\n`;
}

async function dryHandover(cli: Cli, path: string, body: object): Promise<void> {
  const preflight = await preflightOf<Preflight>(cli, path, body);
  const { expectedSeconds, newestPointAgeSeconds, epoch, hosts } = preflight;
  const blockedBy = await Promise.all(preflight.blockedBy.map((why) => sayNames(cli.api, why)));
  print(cli, preflight, () =>
    facts([
      ...possible(blockedBy),
      ['lost writes', 'none: hosts are fenced before the last write moves'],
      ['should take', expectedSeconds === undefined ? undefined : saySeconds(expectedSeconds)],
      [
        'copy is behind',
        newestPointAgeSeconds === undefined ? undefined : saySeconds(newestPointAgeSeconds),
      ],
      ...hosts.follow.map(({ host, address }) => ['follows', `${host}, at ${address}`] as const),
      ...hosts.cut.map(
        ({ address, connections }) =>
          ['will be cut', `${connections} connection(s) from ${address}`] as const,
      ),
      ['epoch', `${epoch}, then ${epoch + 1}`],
    ]),
  );
  if (blockedBy.length > 0) throw new JobFailed('a handover is not possible now');
}

async function sayFailover({ api }: Cli, preflight: FailoverPreflight): Promise<string> {
  const { warnings, point, newerPoints, completeUpTo, expectedSeconds } = preflight;
  const { confirmation: token } = preflight;
  const blockedBy = await Promise.all(preflight.blockedBy.map((why) => sayNames(api, why)));
  return facts([
    ...possible(blockedBy),
    ...warnings.map((warning) => ['warning', warning] as const),
    ['stands on', point && sayPoint(point)],
    ['complete up to', completeUpTo && sayInstant(completeUpTo)],
    ['lost writes', point && sayLoss(preflight)],
    ['set aside', newerPoints > 0 ? `${newerPoints} newer point(s) at this site` : undefined],
    ['should take', expectedSeconds === undefined ? undefined : saySeconds(expectedSeconds)],
    ['confirmation', token && `--confirm ${token}`],
  ]);
}

interface FailoverAnswer {
  readonly job: Job;
  readonly point: Point;
  readonly loss: FailoverLoss;
}

function sayPoint({ sequence, sealedAt }: Point): string {
  return `point ${sequence} of ${sayInstant(sealedAt)}`;
}

function sayLoss({ nothingAfter, pointAgeSeconds = 0, incompleteBytes }: FailoverLoss): string {
  if (nothingAfter) return 'none, unless somebody at the source let hosts go on that were held';
  const sent =
    incompleteBytes === 0 ? '' : `, of which ${sayBytes(incompleteBytes)} had been sent incomplete`;
  return `writes of the last ${saySeconds(pointAgeSeconds)}${sent}`;
}

function preflightOf<Answer>({ api }: Cli, path: string, body: object): Promise<Answer> {
  return api.ask<Answer>({ method: 'POST', path: `${path}/preflight`, body });
}

function possible(blockedBy: readonly string[]): readonly (readonly [string, string])[] {
  return [
    ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
    ...blockedBy.map((why) => ['in the way', why] as const),
  ];
}
