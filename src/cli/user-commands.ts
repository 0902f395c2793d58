import type { Command } from 'commander';
import type { Named } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import { sayInstant } from './quantities.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

type User = Named & { readonly role: string; readonly createdAt: string };

export function addUserCommands(user: Command, terminal: Terminal): void {
  user
    .command('create <name>')
    .summary('make a user; asks for the password')
    .requiredOption('--role <role>', 'administrator, storage_operator, dr_operator or viewer')
    .action(
      onSite<[string], { role: string }>(terminal, async (cli, [name], { role }) => {
        const password = await terminal.askSecret(`password of ${name}`);
        const body = { name, role, password };
        const made = await cli.api.ask<User>({ method: 'POST', path: '/users', body });
        print(cli, made, () => `user ${name} is a ${role.replaceAll('_', ' ')}\n`);
      }),
    );

  user
    .command('list')
    .alias('ls')
    .summary('list users')
    .action(
      onSite<[]>(terminal, async (cli) => {
        const users = await cli.api.list<User>('/users');
        print(cli, users, () =>
          table(
            [
              { heading: 'NAME', cell: ({ name }) => name },
              { heading: 'ROLE', cell: ({ role }) => role },
              { heading: 'CREATED', cell: ({ createdAt }) => sayInstant(createdAt) },
            ],
            users,
          ),
        );
      }),
    );

  user
    .command('password <user>')
    .summary("change a user's password; their tokens end")
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const password = await terminal.askSecret(`new password of ${name}`);
        const path = `/users/${segment(name)}`;
        await cli.api.ask({ method: 'PATCH', path, body: { password } });
        print(cli, { changed: name }, () => `user ${name} has another password\n`);
      }),
    );

  user
    .command('delete <user>')
    .alias('rm')
    .summary('delete a user')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        await cli.api.ask({ method: 'DELETE', path: `/users/${segment(name)}` });
        print(cli, { deleted: name }, () => `user ${name} is deleted\n`);
      }),
    );
}
