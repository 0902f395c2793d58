import type { Command } from 'commander';
import type { GlobalOptions } from './cli.ts';
import { onSite, print } from './cli.ts';
import { login, logout } from './connection.ts';
import type { Terminal } from './terminal.ts';
import { sayBytes, sayInstant } from './quantities.ts';
import { facts, table } from './table.ts';

interface Site {
  readonly id: string;
  readonly name: string;
  readonly space: { readonly totalBytes: number; readonly freeBytes: number };
}

export function addSiteCommands(program: Command, terminal: Terminal): void {
  program
    .command('site')
    .summary('show the site')
    .action(
      onSite<[]>(terminal, async (cli) => {
        const site = await cli.api.ask<Site>({ method: 'GET', path: '/site' });
        const { totalBytes, freeBytes } = site.space;
        print(cli, site, () =>
          facts([
            ['name', site.name],
            ['id', site.id],
            ['url', cli.api.site.url],
            ['space', `${sayBytes(freeBytes)} free of ${sayBytes(totalBytes)}`],
          ]),
        );
      }),
    );

  program
    .command('login')
    .summary('sign in, and keep the token for later commands')
    .requiredOption('--user <name>', 'who you are')
    .addHelpText(
      'after',
      `
Asks for the password, or reads it from standard input. The certificate of the site's authority is
given once and then pinned: baton login --site https://10.0.0.1:8443 --ca ca-cert.pem --user admin`,
    )
    .action(async (_own: object, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions & { user: string }>();
      const password =
        terminal.env['BATON_PASSWORD'] ?? (await terminal.askSecret(`password of ${options.user}`));
      const { url, user } = await login(terminal, { ...options, password });
      terminal.out(`signed in to ${url} as ${user}\n`);
    });

  program
    .command('logout')
    .summary('end the token, and forget it')
    .action(async (_own: object, command: Command) => {
      const url = await logout(terminal, command.optsWithGlobals<GlobalOptions>());
      terminal.out(`signed out of ${url}\n`);
    });

  program
    .command('audit')
    .summary('who asked for which change, newest first')
    .option('--last <number>', 'at most so many', '20')
    .action(
      onSite<[], { last: string }>(terminal, async (cli, _args, { last }) => {
        const path = `/audit?limit=${encodeURIComponent(last)}`;
        const { items } = await cli.api.ask<{ readonly items: readonly AuditEntry[] }>({
          method: 'GET',
          path,
        });
        print(cli, items, () =>
          table(
            [
              { heading: 'AT', cell: ({ at }) => sayInstant(at) },
              { heading: 'USER', cell: ({ user }) => user },
              { heading: 'FROM', cell: ({ from }) => from },
              { heading: 'WHAT', cell: ({ what }) => what },
              { heading: 'TARGET', cell: ({ target }) => target },
              { heading: 'RESULT', cell: ({ result }) => result },
            ],
            items,
          ),
        );
      }),
    );
}

interface AuditEntry {
  readonly at: string;
  readonly user: string;
  readonly from: string;
  readonly what: string;
  readonly target?: string;
  readonly result: string;
}
