/** `baton import …`: volumes brought in from another system while their hosts go on. */
import type { Command } from 'commander';
import type { Import, Job } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { UsageError } from './exit-codes.ts';
import { request, requestJob } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { addCreateCommand } from './import-create-command.ts';
import { importFailed, sayNext, showImport, watchImport } from './import-watch.ts';
import { importFacts, sayImportProgress } from './import-words.ts';
import { longOptions } from './options.ts';
import { parseInstant, parseSize, sayBytes } from './quantities.ts';
import { facts, table } from './table.ts';
import type { Terminal } from './terminal.ts';

export function addImportCommands(command: Command, terminal: Terminal): void {
  addCreateCommand(command, terminal);

  command
    .command('list')
    .alias('ls')
    .summary('list imports, oldest first')
    .option('--state <state>', 'in this state, such as copying or ready')
    .action(
      onSite<[], { state?: string }>(terminal, async (cli, _args, { state }) => {
        const query = state === undefined ? '' : `?state=${segment(state)}`;
        const imports = await cli.api.list<Import>(`/imports${query}`);
        print(cli, imports, () => (imports.length === 0 ? 'no imports\n' : tableOf(imports)));
      }),
    );

  command
    .command('show <import>')
    .summary('show an import, and what to do next')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const seen = await showImport(cli, name);
        print(cli, seen, () => facts(importFacts(seen)));
      }),
    );

  command
    .command('watch <import>')
    .summary('show how it goes on, until it has ended or somebody has to decide')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        await watchImport(cli, await showImport(cli, name));
      }),
    );

  command
    .command('set <import>')
    .summary('change the limit of its copy, or when it starts')
    .option('--limit <size>', 'bytes per second, such as 50M; "none" lifts it')
    .option('--start <instant>', 'of a scheduled one; "now" starts it')
    .action(
      onSite<[string], Changes>(terminal, async (cli, [name], changes) => {
        const path = pathOf(name);
        const asked = { method: 'PATCH', path, body: changesBody(changes) } as const;
        const changed = await cli.api.ask<Import>(asked);
        print(cli, changed, () => facts(importFacts(changed)));
      }),
    );

  command.commandsGroup('Its copy:');
  addCopyCommands(command, terminal);
  command.commandsGroup('Its end:');
  addEndCommands(command, terminal);
}

interface Changes {
  readonly limit?: string;
  readonly start?: string;
}

function changesBody({ limit, start }: Changes): object {
  if (limit === undefined && start === undefined) {
    throw new UsageError('wanted --limit SIZE or --start INSTANT');
  }
  return {
    ...(limit !== undefined && { bytesPerSecond: limit === 'none' ? null : parseSize(limit) }),
    ...(start !== undefined && { scheduledAt: start === 'now' ? null : parseInstant(start) }),
  };
}

function addCopyCommands(command: Command, terminal: Terminal): void {
  const change = (verb: string, summary: string): void => {
    command
      .command(`${verb} <import>`)
      .summary(summary)
      .action(
        onSite<[string]>(terminal, async (cli, [name]) => {
          const path = `${pathOf(name)}/${verb}`;
          const changed = await cli.api.ask<Import>({ method: 'POST', path });
          print(cli, changed, () => {
            return `import ${changed.name} is ${sayImportProgress(changed)}\n${sayNext(changed)}`;
          });
        }),
      );
  };
  change('pause', 'stop copying; hosts go on');
  change('resume', 'go on copying where it was');
  change('enable', 'after --wait-for-hosts: open the volumes to their hosts');
  change('start-copy', 'after that: its hosts write here, begin to copy');
}

function addEndCommands(command: Command, terminal: Terminal): void {
  longOptions(
    command
      .command('cutover <import>')
      .summary('make our copy the volume; hosts keep their connections'),
  ).action(
    onSite<[string], FollowOptions>(terminal, (cli, [name], follow) =>
      end(cli, { name, verb: 'cutover', wanted: 'completed' }, follow),
    ),
  );

  longOptions(
    command
      .command('rollback <import>')
      .summary('after the cut-over: take hosts back to a source that is kept current'),
  ).action(
    onSite<[string], FollowOptions>(terminal, (cli, [name], follow) =>
      end(cli, { name, verb: 'rollback', wanted: 'rolled_back' }, follow),
    ),
  );

  command
    .command('finish <import>')
    .summary('let a source that is kept current go before its term; no way back from then on')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const path = `${pathOf(name)}/finish`;
        const finished = await cli.api.ask<Import>({ method: 'POST', path });
        print(cli, finished, () => `the source of import ${finished.name} is let go\n`);
      }),
    );

  longOptions(
    command
      .command('cancel <import>')
      .summary('end it before its cut-over; hosts go on with the source')
      .option('--force', 'although the source does not answer: hosts are disconnected'),
  ).action(
    onSite<[string], { force?: boolean } & FollowOptions>(
      terminal,
      (cli, [name], { force = false, ...follow }) =>
        end(cli, { name, verb: 'cancel', body: { force }, wanted: 'cancelled' }, follow),
    ),
  );

  longOptions(
    command.command('cleanup <import>').summary('take away what a forced cancel left'),
  ).action(
    onSite<[string], FollowOptions>(terminal, (cli, [name], follow) =>
      end(cli, { name, verb: 'cleanup', wanted: 'cancelled' }, follow),
    ),
  );

  longOptions(
    command.command('delete <import>').alias('rm').summary('remove the record of an ended one'),
  ).action(
    onSite<[string], FollowOptions>(terminal, async (cli, [name], follow) => {
      const asked = { method: 'DELETE', path: pathOf(name) } as const;
      await request(cli, asked, follow, () => `the record of import ${name} is removed\n`);
    }),
  );
}

interface Ending {
  readonly name: string;
  readonly verb: 'cutover' | 'rollback' | 'cancel' | 'cleanup';
  readonly body?: object;
  /** The state that it is about. */
  readonly wanted: string;
}

/** The job is done also where the world did not let it end so: the import says what came of it. */
async function end(
  cli: Cli,
  { name, verb, body, wanted }: Ending,
  following: FollowOptions,
): Promise<void> {
  const path = `${pathOf(name)}/${verb}`;
  const asked = { method: 'POST', path, ...(body && { body }) } as const;
  if (following.wait === false) return request(cli, asked, following, () => '');
  const job = await requestJob<{ readonly job: Job }>(cli, asked, following);
  const ended = await showImport(cli, name);
  if (ended.state !== wanted) throw importFailed(ended);
  print(cli, { ...job, import: ended }, () => `${sayEnd(ended)}\n`);
}

function sayEnd({ name, state, cutOverPauseMs, left }: Import): string {
  if (state !== 'completed') return `import ${name} is ${state.replaceAll('_', ' ')}: ${left}`;
  const waited =
    cutOverPauseMs === undefined ? '' : `; hosts waited ${Math.round(cutOverPauseMs)} ms`;
  return `import ${name} is cut over${waited}`;
}

function pathOf(name: string): string {
  return `/imports/${segment(name)}`;
}

function tableOf(imports: readonly Import[]): string {
  return table(
    [
      { heading: 'NAME', cell: ({ name }) => name },
      { heading: 'FROM', cell: ({ source }) => source.name },
      { heading: 'VOLUMES', cell: ({ volumes }) => volumes.map(({ name }) => name).join(',') },
      {
        heading: 'SIZE',
        cell: ({ volumes }) => sayBytes(volumes.reduce((sum, v) => sum + v.sizeBytes, 0)),
        right: true,
      },
      { heading: 'STATE', cell: sayImportProgress },
    ],
    imports,
  );
}
