import type { Command } from 'commander';
import type { AttachedHost, Attachment, Job, Volume } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { request } from './follow-job.ts';
import type { FollowOptions } from './follow-job.ts';
import { ProblemAnswer } from './native-client.ts';
import { longOptions } from './options.ts';
import { parseSize, sayBytes, sayInstant } from './quantities.ts';
import { sayReplication } from './session-words.ts';
import { facts, table } from './table.ts';
import type { Terminal } from './terminal.ts';

export function addVolumeCommands(volume: Command, terminal: Terminal): void {
  longOptions(
    volume
      .command('create <name>')
      .summary('make a volume of zeros, thinly provisioned')
      .requiredOption('--size <size>', 'such as 10G or 512M')
      .option('--group <group>', 'put it into this group (default: it stands alone)'),
  ).action(
    onSite<[string], { size: string; group?: string } & FollowOptions>(
      terminal,
      async (cli, [name], { size, group, ...follow }) => {
        const body = { name, sizeBytes: parseSize(size), ...(group !== undefined && { group }) };
        await request<{ job: Job; volume: Volume }>(
          cli,
          { method: 'POST', path: '/volumes', body },
          follow,
          () => `volume ${name} is there: ${sayBytes(body.sizeBytes)}\n`,
        );
      },
    ),
  );

  volume
    .command('list')
    .alias('ls')
    .summary('list volumes')
    .action(
      onSite<[]>(terminal, async (cli) => {
        const volumes = await cli.api.list<Volume>('/volumes');
        print(cli, volumes, () => (volumes.length === 0 ? 'no volumes\n' : tableOf(volumes)));
      }),
    );

  volume
    .command('show <volume>')
    .summary('show a volume, and how hosts attach it')
    .action(onSite<[string]>(terminal, (cli, [name]) => show(cli, name)));

  longOptions(
    volume
      .command('resize <volume>')
      .summary('grow a volume, at every site that has it')
      .requiredOption('--size <size>', 'the new size'),
  ).action(
    onSite<[string], { size: string } & FollowOptions>(
      terminal,
      async (cli, [name], { size, ...follow }) => {
        const sizeBytes = parseSize(size);
        await request(
          cli,
          { method: 'PATCH', path: `/volumes/${segment(name)}`, body: { sizeBytes } },
          follow,
          () =>
            `volume ${name} has ${sayBytes(sizeBytes)}; its hosts were disconnected and reconnect\n`,
        );
      },
    ),
  );

  longOptions(
    volume.command('delete <volume>').alias('rm').summary('delete a volume and all its bytes'),
  ).action(
    onSite<[string], FollowOptions>(terminal, async (cli, [name], follow) => {
      const asked = { method: 'DELETE', path: `/volumes/${segment(name)}` } as const;
      await request(cli, asked, follow, () => `volume ${name} is deleted\n`);
    }),
  );
}

function tableOf(volumes: readonly Volume[]): string {
  return table(
    [
      { heading: 'NAME', cell: ({ name }) => name },
      { heading: 'SIZE', cell: ({ sizeBytes }) => sayBytes(sizeBytes), right: true },
      { heading: 'GROUP', cell: ({ group }) => group?.name },
      { heading: 'HELD', cell: ({ heldHere }) => (heldHere ? 'here' : 'elsewhere') },
      { heading: 'STATE', cell: ({ state }) => state },
      { heading: 'REPLICATION', cell: ({ session }) => session && sayReplication(session) },
      { heading: 'HOSTS', cell: ({ hosts }) => hosts.join(',') || undefined },
    ],
    volumes,
  );
}

async function show(cli: Cli, reference: string): Promise<void> {
  const path = `/volumes/${segment(reference)}`;
  const volume = await cli.api.ask<Volume>({ method: 'GET', path });
  const attachment = await attachmentOf(cli, path);
  const attached = await cli.api.list<AttachedHost>(`${path}/attached`);
  print(cli, { ...volume, ...(attachment && { attachment }), attached }, () =>
    facts([
      ['name', volume.name],
      ['id', volume.id],
      ['serial', volume.serial],
      ['size', `${sayBytes(volume.sizeBytes)} (${volume.sizeBytes} bytes)`],
      ['state', volume.state],
      ['group', volume.group?.name],
      ['held', volume.heldHere ? 'here: hosts of this site may write it' : 'at the other site'],
      ['hosts', volume.hosts.join(', ') || 'none may attach it'],
      ['attach', attachment?.uri],
      ...attached.map((one) => ['attached', sayAttached(one)] as const),
      ['replication', volume.session && sayReplication(volume.session)],
      ['created', sayInstant(volume.createdAt)],
    ]),
  );
}

function sayAttached({ host, address, state, why, since }: AttachedHost): string {
  const how = why === undefined ? state : `${state}: ${why}`;
  return `${host} at ${address}, since ${sayInstant(since)}: ${how}`;
}

/** Undefined where another site holds it. */
async function attachmentOf({ api }: Cli, path: string): Promise<Attachment | undefined> {
  try {
    return await api.ask<Attachment>({ method: 'GET', path: `${path}/attachment` });
  } catch (error) {
    if (error instanceof ProblemAnswer) return undefined;
    throw error;
  }
}
