import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Enrolment, HostBundle, Named } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { writeBundle, writePrivately } from './host-bundle.ts';
import { sayInstant } from './quantities.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

export function addHostCommands(host: Command, terminal: Terminal): void {
  const out = [
    '--out <directory>',
    'where its certificate and key go, readable by you only',
  ] as const;

  host
    .command('create <name>')
    .summary('make a host known, and write its certificate')
    .requiredOption(...out)
    .action(
      onSite<[string], { out: string }>(terminal, async (cli, [name], options) => {
        const body = { name };
        await keep(cli, await cli.api.ask({ method: 'POST', path: '/hosts', body }), options.out);
      }),
    );

  host
    .command('certificate <host>')
    .summary('write another certificate for a host')
    .requiredOption(...out)
    .action(
      onSite<[string], { out: string }>(terminal, async (cli, [name], options) => {
        const path = `/hosts/${segment(name)}/certificate`;
        await keep(cli, await cli.api.ask({ method: 'POST', path }), options.out);
      }),
    );

  host
    .command('enrol <host>')
    .summary('write what lets a host follow its volumes from site to site')
    .requiredOption('--out <directory>', 'where the bundle goes, readable by you only')
    .addHelpText('after', '\nThe host need not be known before. An earlier bundle of it ends.')
    .action(
      onSite<[string], { out: string }>(terminal, async (cli, [name], options) => {
        const path = `/hosts/${segment(name)}/enrolment`;
        const enrolment = await cli.api.ask<Enrolment>({ method: 'POST', path });
        const directory = resolve(options.out);
        await writeBundle(directory, enrolment);
        const sites = enrolment.sites.map(({ siteName }) => siteName);
        // Keys and tokens are in the files and nowhere else.
        print(cli, { host: name, directory, sites }, () =>
          [
            `host ${name} is known at ${sites.join(' and ')}; its bundle is in ${directory}`,
            '',
            'Map what it may attach, bring the directory to it, and attach there:',
            `  baton group map GROUP ${name}`,
            `  baton attach VOLUME --bundle ${directory} --socket DIRECTORY`,
            '',
          ].join('\n'),
        );
      }),
    );

  host
    .command('list')
    .alias('ls')
    .summary('list hosts')
    .action(
      onSite<[]>(terminal, async (cli) => {
        const hosts = await cli.api.list<Named & { readonly createdAt: string }>('/hosts');
        print(cli, hosts, () =>
          hosts.length === 0
            ? 'no hosts\n'
            : table(
                [
                  { heading: 'NAME', cell: ({ name }) => name },
                  { heading: 'CREATED', cell: ({ createdAt }) => sayInstant(createdAt) },
                  { heading: 'ID', cell: ({ id }) => id },
                ],
                hosts,
              ),
        );
      }),
    );

  host
    .command('delete <host>')
    .alias('rm')
    .summary('forget a host')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        await cli.api.ask({ method: 'DELETE', path: `/hosts/${segment(name)}` });
        print(cli, { deleted: name }, () => `host ${name} is forgotten\n`);
      }),
    );
}

/** `map` and `unmap`, of groups and of volumes that stand alone. */
export function addMappingCommands(
  command: Command,
  noun: 'group' | 'volume',
  terminal: Terminal,
): void {
  const mapping = (verb: 'map' | 'unmap', method: 'PUT' | 'DELETE', summary: string): void => {
    command
      .command(`${verb} <${noun}> <host>`)
      .summary(summary)
      .action(
        onSite<[string, string]>(terminal, async (cli, [name, host]) => {
          const path = `/${noun}s/${segment(name)}/hosts/${segment(host)}`;
          await cli.api.ask({ method, path });
          const may = verb === 'map' ? 'may attach' : 'may not attach';
          print(cli, { [noun]: name, host, mapped: verb === 'map' }, () => {
            return `host ${host} ${may} ${noun} ${name}\n`;
          });
        }),
      );
  };
  mapping('map', 'PUT', `let a host attach a ${noun}`);
  mapping('unmap', 'DELETE', `take a ${noun} away from a host; it is disconnected`);
}

async function keep(cli: Cli, { host, files }: HostBundle, out: string): Promise<void> {
  const directory = resolve(out);
  await writePrivately(directory, Object.entries(files));
  // The key is in the files and nowhere else, not in what a program prints either.
  print(cli, { host, directory, files: Object.keys(files) }, () =>
    [
      `host ${host.name} is known; its certificate and key are in ${directory}`,
      '',
      'Map it, and attach with libnbd, QEMU or whatever speaks NBD over TLS:',
      `  baton group map GROUP ${host.name}`,
      '  baton volume show VOLUME        prints the URI, with the address',
      `  nbdinfo 'nbds://ADDRESS:PORT/VOLUME?tls-certificates=${directory}'`,
      '',
    ].join('\n'),
  );
}
