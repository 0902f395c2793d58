/** Drills: rehearsals that end by themselves, and what is left of them as evidence. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { checksOf } from '../domain/drill.ts';
import type { DrillCheck, SignedDrill } from '../domain/drill.ts';
import { drillPage } from '../domain/drill-page.ts';
import type { Job } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { JobFailed, UsageError } from './exit-codes.ts';
import { follow } from './follow-job.ts';
import { sayInstant, saySeconds } from './quantities.ts';
import { facts, table } from './table.ts';
import type { Terminal } from './terminal.ts';
import { verifyChain, verifyDrill } from './verify-drill.ts';

interface RunOptions {
  readonly point?: string;
  readonly out?: string;
  readonly volume?: boolean;
  readonly watch?: boolean;
}

const saidVerdict = { passed: 'passed', failed: 'FAILED', not_possible: 'not possible' } as const;

export function addDrillCommands(drill: Command, terminal: Terminal): void {
  drill
    .command('run <group>')
    .summary('test a failover at the destination, look at what is there, write a signed report')
    .option('--point <id>', 'on this point (default: the newest)')
    .option('--volume', 'the name is that of a volume that stands alone')
    .option('--out <directory>', 'write the report there, as JSON and as a page')
    .option('--watch', 'show how it goes on')
    .action(
      onSite<[string], RunOptions>(terminal, async (cli, [name], options) => {
        const { point, out, volume = false, watch = false } = options;
        const path = `/${volume ? 'volumes' : 'groups'}/${segment(name)}/drills`;
        const body = point === undefined ? {} : { point };
        const started = await cli.api.ask<{ job: Job; drillId: string }>({
          method: 'POST',
          path,
          body,
        });
        await follow(cli, started.job, watch);
        const made = await shown(cli, started.drillId);
        const files = out === undefined ? [] : await save(made, out);
        print(cli, made, () => describe(made) + files.map((file) => `written: ${file}\n`).join(''));
        if (made.report.verdict === 'failed') throw new JobFailed('the drill failed');
      }),
    );

  drill
    .command('list')
    .alias('ls')
    .summary('list the reports at this site')
    .option('--group <group>', 'of this group')
    .action(
      onSite<[], { group?: string }>(terminal, async (cli, _args, { group }) => {
        const query = group === undefined ? '' : `?group=${encodeURIComponent(group)}`;
        const drills = await cli.api.list<SignedDrill>(`/drills${query}`);
        print(cli, drills, () => (drills.length === 0 ? 'no drills\n' : tableOf(drills)));
      }),
    );

  drill
    .command('show <drill>')
    .summary('show a report')
    .option('--out <directory>', 'write it there, as JSON and as a page')
    .action(
      onSite<[string], { out?: string }>(terminal, async (cli, [id], { out }) => {
        const made = await shown(cli, id);
        const files = out === undefined ? [] : await save(made, out);
        print(cli, made, () => describe(made) + files.map((file) => `written: ${file}\n`).join(''));
      }),
    );

  drill
    .command('verify <files...>')
    .summary('check, offline, that reports are what a site signed; of several, in their order')
    .action(async (files: readonly string[]) => {
      const verified = [];
      for (const file of files) verified.push(verifyDrill(await read(file)));
      verifyChain(verified.map((one) => one.drill));
      for (const { drill: genuine, signedBy, authorityFingerprint } of verified) {
        const { report } = genuine;
        terminal.out(
          facts([
            ['genuine', `drill of ${report.group.name}, ${sayInstant(report.startedAt)}`],
            ['verdict', saidVerdict[report.verdict]],
            ['signed by', `site ${signedBy}, vouched for by ${authorityFingerprint}`],
          ]),
        );
      }
      if (files.length > 1) terminal.out('each names the one before it: none is missing\n');
    });
}

function shown({ api }: Cli, id: string): Promise<SignedDrill> {
  return api.ask<SignedDrill>({ method: 'GET', path: `/drills/${segment(id)}` });
}

async function save(drill: SignedDrill, directory: string): Promise<readonly string[]> {
  const { group, startedAt } = drill.report;
  const stem = `drill-${group.name}-${startedAt.slice(0, 19).replaceAll(/[-:]/g, '')}`;
  const files = [join(directory, `${stem}.json`), join(directory, `${stem}.html`)] as const;
  await mkdir(directory, { recursive: true });
  await writeFile(files[0], `${JSON.stringify(drill, undefined, 2)}\n`);
  await writeFile(files[1], drillPage(drill));
  return files;
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`${file} cannot be read`, { cause });
  }
}

function describe({ report, hash }: SignedDrill): string {
  const { group, point, verdict, ended } = report;
  const rows = [
    ...[report.hashes, report.command].map((check) => ({ of: 'group', check })),
    ...report.volumes.flatMap(({ name, checks }) => checks.map((check) => ({ of: name, check }))),
  ];
  return (
    facts([
      ['drill', report.drillId],
      ['group', group.name],
      ['verdict', saidVerdict[verdict]],
      [
        'point',
        `${point.sequence} of ${sayInstant(point.sealedAt)}, ${saySeconds(point.ageSeconds)} old`,
      ],
      ['test ended', ended ? 'yes' : 'NO'],
      ['SHA-256', hash],
    ]) +
    `\n${table<{ of: string; check: DrillCheck }>(
      [
        { heading: 'OF', cell: ({ of }) => of },
        { heading: 'CHECK', cell: ({ check }) => check.what },
        { heading: 'VERDICT', cell: ({ check }) => saidVerdict[check.verdict] },
        { heading: 'DETAIL', cell: ({ check }) => check.detail.split('\n').at(-1) },
      ],
      rows,
    )}`
  );
}

function tableOf(drills: readonly SignedDrill[]): string {
  return table(
    [
      { heading: 'STARTED', cell: ({ report }) => sayInstant(report.startedAt) },
      { heading: 'GROUP', cell: ({ report }) => report.group.name },
      { heading: 'VERDICT', cell: ({ report }) => saidVerdict[report.verdict] },
      { heading: 'CHECKS', cell: ({ report }) => checksOf(report).length, right: true },
      { heading: 'BY', cell: ({ report }) => report.operator },
      { heading: 'ID', cell: ({ report }) => report.drillId },
    ],
    drills,
  );
}
