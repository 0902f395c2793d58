import type { Command } from 'commander';
import type { Peer } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import { parseSize, sayBytes, sayInstant } from './quantities.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

export function addPeerCommands(peer: Command, terminal: Terminal): void {
  peer
    .command('invite')
    .summary('make a one-time token for another site to join with')
    .action(
      onSite<[]>(terminal, async (cli) => {
        const invitation = await cli.api.ask<{
          readonly token: string;
          readonly expiresAt: string;
        }>({ method: 'POST', path: '/peers/invitations' });
        print(cli, invitation, () => {
          const until = sayInstant(invitation.expiresAt);
          return `${invitation.token}\n\nGood once, until ${until}. At the other site: baton peer join TOKEN\n`;
        });
      }),
    );

  peer
    .command('join <token>')
    .summary('join the site that made the token')
    .action(
      onSite<[string]>(terminal, async (cli, [token]) => {
        const body = { token };
        const joined = await cli.api.ask<Peer>({ method: 'POST', path: '/peers', body });
        print(cli, joined, () => `this site and ${joined.name} know each other\n`);
      }),
    );

  peer
    .command('list')
    .alias('ls')
    .summary('list peers, and whether they answer')
    .action(
      onSite<[]>(terminal, async (cli) => {
        const peers = await cli.api.list<Peer>('/peers');
        print(cli, peers, () => (peers.length === 0 ? 'no peers\n' : tableOf(peers)));
      }),
    );

  peer
    .command('limit <peer> <size>')
    .summary('bytes per second for all that is sent there, such as 50M; "none" lifts it')
    .action(
      onSite<[string, string]>(terminal, async (cli, [name, size]) => {
        const body = { bytesPerSecond: size === 'none' ? null : parseSize(size) };
        const path = `/peers/${segment(name)}`;
        const limited = await cli.api.ask<Peer>({ method: 'PATCH', path, body });
        const { bytesPerSecond } = limited;
        print(cli, limited, () =>
          bytesPerSecond === undefined
            ? `what is sent to ${name} is not limited\n`
            : `all that is sent to ${name} together: ${sayBytes(bytesPerSecond)}/s at most\n`,
        );
      }),
    );

  peer
    .command('remove <peer>')
    .alias('rm')
    .summary('end a pairing at this side')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        await cli.api.ask({ method: 'DELETE', path: `/peers/${segment(name)}` });
        print(cli, { removed: name }, () => `${name} is no peer of this site any more\n`);
      }),
    );
}

function tableOf(peers: readonly Peer[]): string {
  return table(
    [
      { heading: 'NAME', cell: ({ name }) => name },
      { heading: 'ADDRESS', cell: ({ host, port }) => `${host}:${port}` },
      { heading: 'LINK', cell: ({ link }) => link?.state },
      { heading: 'SINCE', cell: ({ link }) => link && sayInstant(link.since) },
      { heading: 'SESSIONS', cell: ({ sessions }) => sessions, right: true },
      {
        heading: 'LIMIT',
        cell: ({ bytesPerSecond }) => bytesPerSecond && `${sayBytes(bytesPerSecond)}/s`,
      },
      { heading: 'DETAIL', cell: ({ link }) => link?.detail },
    ],
    peers,
  );
}
