import type { Command } from 'commander';
import type { Group, Job } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { follow, sayProgress, sayTransfer } from './follow-job.ts';
import { sayInstant } from './quantities.ts';
import { facts, table } from './table.ts';
import type { Terminal } from './terminal.ts';
import { sayNames } from './trouble.ts';

interface ListOptions {
  readonly group?: string;
  readonly kind?: string;
  readonly state?: string;
  readonly last: string;
}

export function addJobCommands(job: Command, terminal: Terminal): void {
  job
    .command('list')
    .alias('ls')
    .summary('list jobs, newest first')
    .option('--group <group>', 'of this group')
    .option('--kind <kind>', 'such as handover or replicate')
    .option('--state <state>', 'running, undoing, done or undone')
    .option('--last <number>', 'at most so many', '20')
    .action(onSite<[], ListOptions>(terminal, (cli, _args, options) => list(cli, options)));

  job
    .command('show <job>')
    .summary('show a job and its steps')
    .action(
      onSite<[string]>(terminal, async (cli, [id]) => {
        const shown = await cli.api.ask<Job>({ method: 'GET', path: `/jobs/${segment(id)}` });
        const said = await sayNames(cli.api, describe(shown));
        print(cli, shown, () => said);
      }),
    );

  job
    .command('watch <job>')
    .summary('show how a job goes on, until its end')
    .action(
      onSite<[string]>(terminal, async (cli, [id]) => {
        const begun = await cli.api.ask<Job>({ method: 'GET', path: `/jobs/${segment(id)}` });
        const ended = await follow(cli, begun, true);
        print(cli, ended, () => '');
      }),
    );

  job
    .command('abort <job>')
    .summary('ask a job to put everything back')
    .action(
      onSite<[string]>(terminal, async (cli, [id]) => {
        const path = `/jobs/${segment(id)}/abort?wait=20`;
        const answer = await cli.api.ask<{ readonly job: Job }>({ method: 'POST', path });
        print(cli, answer, () => `${sayProgress(answer.job)}\n`);
      }),
    );
}

async function list(cli: Cli, { group, kind, state, last }: ListOptions): Promise<void> {
  const query = new URLSearchParams({ limit: last });
  if (group !== undefined) query.set('group', group);
  if (kind !== undefined) query.set('kind', kind);
  if (state !== undefined) query.set('state', state);
  const path = `/jobs?${query.toString()}`;
  const { items } = await cli.api.ask<{ readonly items: readonly Job[] }>({ method: 'GET', path });
  const groups = cli.output === 'json' ? [] : await cli.api.list<Group>('/groups');
  const names = new Map(groups.map(({ id, name }) => [id, name]));
  print(cli, items, () =>
    items.length === 0
      ? 'no jobs\n'
      : table(
          [
            { heading: 'JOB', cell: ({ id }) => id },
            { heading: 'KIND', cell: (job) => job.kind },
            { heading: 'GROUP', cell: ({ groupId = '' }) => names.get(groupId) },
            { heading: 'STATE', cell: (job) => job.state },
            { heading: 'DOING', cell: ({ doing }) => doing },
            { heading: 'STARTED', cell: ({ startedAt }) => sayInstant(startedAt) },
            { heading: 'TOOK', cell: took, right: true },
          ],
          items,
        ),
  );
}

function describe(job: Job): string {
  const { id, kind, state, doing, trouble, progress, outcome, steps, abortable } = job;
  return (
    facts([
      ['job', id],
      ['kind', kind],
      ['state', state],
      ['doing', doing],
      ['trouble', trouble],
      ['moved', progress && sayTransfer(progress)],
      ['outcome', outcome?.message],
      ['part of', job.parentId],
      ['started', sayInstant(job.startedAt)],
      ['took', took(job)],
      ['abort', abortable ? `possible: baton job abort ${id}` : undefined],
    ]) +
    (steps.length === 0
      ? ''
      : `\n${table(
          [
            { heading: 'STEP', cell: ({ name }) => name },
            { heading: 'STARTED', cell: ({ startedAt }) => sayInstant(startedAt) },
            {
              heading: 'TOOK',
              cell: ({ durationMs }) => `${Math.round(durationMs)} ms`,
              right: true,
            },
          ],
          steps,
        )}`)
  );
}

function took({ startedAt, endedAt }: Job): string | undefined {
  if (endedAt === undefined) return undefined;
  return `${Date.parse(endedAt) - Date.parse(startedAt)} ms`;
}
