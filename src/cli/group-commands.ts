import type { Command } from 'commander';
import type { Group } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { longOptions } from './options.ts';
import { sayBytes, sayInstant } from './quantities.ts';
import { sayReplication, sessionFacts } from './session-words.ts';
import { facts, table } from './table.ts';
import type { Terminal } from './terminal.ts';

export function addGroupCommands(group: Command, terminal: Terminal): void {
  group
    .command('create <name>')
    .summary('make an empty group')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const made = await cli.api.ask<Group>({ method: 'POST', path: '/groups', body: { name } });
        print(cli, made, () => `group ${name} is there\n`);
      }),
    );

  group
    .command('list')
    .alias('ls')
    .summary('list groups')
    .action(
      onSite<[]>(terminal, async (cli) => {
        const groups = await cli.api.list<Group>('/groups');
        print(cli, groups, () => (groups.length === 0 ? 'no groups\n' : tableOf(groups)));
      }),
    );

  group
    .command('show <group>')
    .summary('show a group, its volumes and its replication')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const path = `/groups/${segment(name)}`;
        const shown = await cli.api.ask<Group>({ method: 'GET', path });
        print(cli, shown, () => describe(shown));
      }),
    );

  const member = (verb: 'add' | 'remove', summary: string): void => {
    longOptions(group.command(`${verb} <group> <volume>`).summary(summary)).action(
      onSite<[string, string], FollowOptions>(terminal, async (cli, [name, volume], options) => {
        const path = `/groups/${segment(name)}/volumes/${segment(volume)}`;
        const method = verb === 'add' ? 'POST' : 'DELETE';
        await request(cli, { method, path }, options, () =>
          verb === 'add'
            ? `volume ${volume} is in group ${name}; its hosts reconnect at the group's address\n`
            : `volume ${volume} stands alone; its hosts reconnect at its own address\n`,
        );
      }),
    );
  };
  member('add', 'move a volume that stands alone into a group');
  member('remove', 'take a volume out of its group, to stand alone');

  longOptions(
    group
      .command('delete <group>')
      .alias('rm')
      .summary('delete an empty group, or a copy that nothing feeds any more'),
  ).action(
    onSite<[string], FollowOptions>(terminal, async (cli, [name], options) => {
      const asked = { method: 'DELETE', path: `/groups/${segment(name)}` } as const;
      await request(cli, asked, options, () => `group ${name} is deleted\n`);
    }),
  );
}

function tableOf(groups: readonly Group[]): string {
  return table(
    [
      { heading: 'NAME', cell: ({ name }) => name },
      { heading: 'VOLUMES', cell: ({ volumes }) => volumes.length, right: true },
      { heading: 'SIZE', cell: (group) => sayBytes(sizeOf(group)), right: true },
      { heading: 'HOLDER', cell: ({ holder, heldHere }) => (heldHere ? 'here' : holder.name) },
      { heading: 'REPLICATION', cell: ({ session }) => session && sayReplication(session) },
      { heading: 'HOSTS', cell: ({ hosts }) => hosts.join(',') || undefined },
    ],
    groups,
  );
}

function describe(group: Group): string {
  const { name, holder, heldHere, epoch, forced, operation, fenced, session } = group;
  const how = [
    `epoch ${epoch}`,
    ...(forced ? ['FORCED'] : []),
    ...(group.provisional ? ['PROVISIONAL'] : []),
  ].join(', ');
  return (
    facts([
      ['name', name],
      ['id', group.id],
      ['holder', `${holder.name}${heldHere ? ' (here)' : ''}, ${how}`],
      ['job', operation && `${operation}${fenced ? ', hosts are fenced' : ''}`],
      ['hosts', group.hosts.join(', ') || 'none may attach it'],
      ['created', sayInstant(group.createdAt)],
      ...(session === undefined ? [] : sessionFacts(session)),
    ]) +
    (group.volumes.length === 0
      ? ''
      : `\n${table(
          [
            { heading: 'VOLUME', cell: (volume) => volume.name },
            { heading: 'SIZE', cell: ({ sizeBytes }) => sayBytes(sizeBytes), right: true },
            { heading: 'STATE', cell: ({ state }) => state },
          ],
          group.volumes,
        )}`)
  );
}

function sizeOf({ volumes }: Group): number {
  return volumes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
