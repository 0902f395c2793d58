/** Failover tests, clones and mounts: what is opened beside a group, at the site that is asked. */
import type { Command } from 'commander';
import type { Copy, Job, Point } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { JobFailed } from './exit-codes.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { parseSeconds, sayBytes, sayInstant, saySeconds } from './quantities.ts';
import { facts, table } from './table.ts';
import type { Terminal } from './terminal.ts';

/** `baton copy …` */
export function addCopyCommands(copy: Command, terminal: Terminal): void {
  copy
    .command('list')
    .alias('ls')
    .summary('list failover tests, clones and mounts')
    .option('--group <group>', 'of this group')
    .action(
      onSite<[], { group?: string }>(terminal, async (cli, _args, { group }) => {
        const query = group === undefined ? '' : `?group=${encodeURIComponent(group)}`;
        const copies = await cli.api.list<Copy>(`/copies${query}`);
        print(cli, copies, () => (copies.length === 0 ? 'no copies\n' : tableOf(copies)));
      }),
    );

  copy
    .command('show <copy>')
    .summary('how hosts attach it, and what was written on it')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const seen = await cli.api.ask<Copy>({ method: 'GET', path: `/copies/${segment(name)}` });
        print(cli, seen, () => facts(copyFacts(seen)));
      }),
    );

  longOptions(
    copy
      .command('refresh <copy>')
      .summary('show the newest point, or another one; what was written on it goes')
      .option('--point <id>', 'this point')
      .option('--fork <id>', 'this fork'),
  ).action(
    onSite<[string], Shown & FollowOptions>(terminal, async (cli, [name], options) => {
      const { point, fork, ...following } = options;
      const path = `/copies/${segment(name)}/refresh`;
      const asked = { method: 'POST', path, body: shownBody({ point, fork }) } as const;
      await request(cli, asked, following, () => `copy ${name} is refreshed\n`);
    }),
  );

  longOptions(
    copy
      .command('discard <copy>')
      .summary('end it')
      .option('--keep', 'what was written on it becomes a fork'),
  ).action(
    onSite<[string], Keep & FollowOptions>(
      terminal,
      async (cli, [name], { keep, ...following }) => {
        const path = `/copies/${segment(name)}?keep=${keep === true}`;
        await request(cli, { method: 'DELETE', path }, following, () =>
          keep === true
            ? `what was written on copy ${name} is kept as a fork\n`
            : `copy ${name} is discarded\n`,
        );
      },
    ),
  );
}

/** Verbs of a group, or of a volume that stands alone. */
export function addCopyVerbs(command: Command, noun: 'group' | 'volume', terminal: Terminal): void {
  const pathOf = (name: string): string => `/${noun}s/${segment(name)}`;

  longOptions(
    command
      .command(`test <${noun}>`)
      .summary('failover test: hosts write on a copy while replication goes on')
      .option('--point <id>', 'on this point (default: the newest)')
      .option('--host <names>', 'to these hosts, with commas (default: those it is mapped to)')
      .option('--term <time>', 'it ends by itself after so long, such as 4h')
      .option('--dry-run', 'say what it would show, and what is in the way'),
  ).action(
    onSite<[string], TestOptions & FollowOptions>(terminal, async (cli, [name], options) => {
      const { point, host, term, dryRun = false, ...following } = options;
      const path = `${pathOf(name)}/failover-test`;
      const body = { ...(point !== undefined && { point }), ...openBody({ host, term }) };
      if (dryRun) await dryTest(cli, path, body);
      else {
        const asked = { method: 'POST', path, body } as const;
        await request<CopyAnswer>(cli, asked, following, ({ copyId }) =>
          [
            `the test of ${noun} ${name} is open; how to attach it: baton copy show ${copyId}`,
            `to end it: baton ${noun} end-test ${name}\n`,
          ].join('\n'),
        );
      }
    }),
  );

  longOptions(
    command
      .command(`end-test <${noun}>`)
      .summary('stop the failover test; what it wrote goes')
      .option('--keep', 'what it wrote becomes a fork'),
  ).action(
    onSite<[string], Keep & FollowOptions>(
      terminal,
      async (cli, [name], { keep, ...following }) => {
        const path = `${pathOf(name)}/failover-test?keep=${keep === true}`;
        await request(cli, { method: 'DELETE', path }, following, () =>
          keep === true
            ? `the test of ${noun} ${name} has ended; what it wrote is kept as a fork\n`
            : `the test of ${noun} ${name} has ended, and nothing is left of it\n`,
        );
      },
    ),
  );

  longOptions(
    command
      .command(`clone <${noun}> <name>`)
      .summary('open a point or a fork of it beside it, under a name')
      .option('--point <id>', 'this point (default: the newest)')
      .option('--fork <id>', 'this fork')
      .option('--read-only', 'mount it as it was')
      .option('--host <names>', 'to these hosts, with commas (default: those it is mapped to)')
      .option('--term <time>', 'it ends by itself after so long'),
  ).action(
    onSite<[string, string], CloneOptions & FollowOptions>(
      terminal,
      async (cli, [owner, name], options) => {
        const { point, fork, readOnly = false, host, term, ...following } = options;
        const shown = { ...shownBody({ point, fork }), ...openBody({ host, term }) };
        const body = { name, writable: !readOnly, ...shown };
        const asked = { method: 'POST', path: `${pathOf(owner)}/copies`, body } as const;
        await request<CopyAnswer>(
          cli,
          asked,
          following,
          () => `copy ${name} is open; how to attach it: baton copy show ${name}\n`,
        );
      },
    ),
  );
}

interface Shown {
  readonly point?: string | undefined;
  readonly fork?: string | undefined;
}

interface Keep {
  readonly keep?: boolean;
}

interface Opened {
  readonly host?: string | undefined;
  readonly term?: string | undefined;
}

type TestOptions = Opened & { readonly point?: string; readonly dryRun?: boolean };
type CloneOptions = Opened & Shown & { readonly readOnly?: boolean };

interface CopyAnswer {
  readonly job: Job;
  readonly copyId: string;
}

interface TestPreflight {
  readonly point?: Point;
  readonly hosts: readonly string[];
  readonly blockedBy: readonly string[];
  readonly endsAt: string;
}

async function dryTest(cli: Cli, path: string, body: object): Promise<void> {
  const { preflight } = await cli.api.ask<{ readonly preflight: TestPreflight }>({
    method: 'POST',
    path: `${path}?dryRun=true`,
    body,
  });
  const { point, hosts, blockedBy, endsAt } = preflight;
  print(cli, preflight, () =>
    facts([
      ['possible now', blockedBy.length === 0 ? 'yes' : 'no'],
      ...blockedBy.map((why) => ['in the way', why] as const),
      ['shows', point && `point ${point.sequence} of ${sayInstant(point.sealedAt)}`],
      ['hosts', hosts.join(', ')],
      ['ends', sayInstant(endsAt)],
    ]),
  );
  if (blockedBy.length > 0) throw new JobFailed('a failover test is not possible now');
}

function shownBody({ point, fork }: Shown): object {
  return { ...(point !== undefined && { point }), ...(fork !== undefined && { fork }) };
}

function openBody({ host, term }: Opened): object {
  return {
    ...(host !== undefined && { hosts: host.split(',') }),
    ...(term !== undefined && { termSeconds: parseSeconds(term) }),
  };
}

function tableOf(copies: readonly Copy[]): string {
  return table(
    [
      { heading: 'NAME', cell: ({ name }) => name },
      { heading: 'OF', cell: ({ group }) => group.name },
      { heading: 'PURPOSE', cell: ({ purpose }) => purpose.replaceAll('_', ' ') },
      { heading: 'STATE', cell: ({ state }) => state },
      {
        heading: 'WRITTEN',
        cell: ({ writtenBytes }) =>
          writtenBytes === undefined ? undefined : sayBytes(writtenBytes),
        right: true,
      },
      {
        heading: 'ENDS IN',
        cell: ({ endsInSeconds: s }) => (s === undefined ? undefined : saySeconds(s)),
      },
      { heading: 'ID', cell: ({ id }) => id },
    ],
    copies,
  );
}

function copyFacts(copy: Copy): readonly (readonly [name: string, value: string | undefined])[] {
  const { of, endsInSeconds, writtenBytes, volumes } = copy;
  return [
    ['name', copy.name],
    [
      'of',
      `${copy.group.name}, ${of.fork === undefined ? `point ${of.point}` : `fork ${of.fork}`}`,
    ],
    ['purpose', copy.purpose.replaceAll('_', ' ')],
    ['state', copy.state],
    ['hosts write', copy.writable ? 'yes' : 'no'],
    ['hosts', copy.hosts.join(', ')],
    ['written', writtenBytes === undefined ? undefined : sayBytes(writtenBytes)],
    ['ends in', endsInSeconds === undefined ? undefined : saySeconds(endsInSeconds)],
    ...volumes.map(({ exportName, uri }) => [exportName, uri ?? 'not served'] as const),
  ];
}
