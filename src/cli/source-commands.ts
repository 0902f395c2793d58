/** `baton source …`: systems that volumes are brought in from. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Source, SourceVolumes } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import { JobFailed, UsageError } from './exit-codes.ts';
import { sayBytes, sayInstant } from './quantities.ts';
import { facts, table } from './table.ts';
import type { Terminal } from './terminal.ts';

interface AddOptions {
  readonly user?: string;
  readonly initiator?: string;
  readonly tlsCa?: string;
  readonly tlsName?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

export function addSourceCommands(source: Command, terminal: Terminal): void {
  source
    .command('add <name> <url>')
    .summary('make a source known, once it has answered; asks for the password of a user')
    .option('--user <name>', 'of CHAP, or of the web server')
    .option('--initiator <iqn>', "this site's name, as an iSCSI target knows it")
    .option('--tls-ca <file>', 'who vouches for the certificate of a source at nbds://')
    .option('--tls-name <name>', 'the name in that certificate (default: the host)')
    .option('--tls-cert <file>', 'the certificate that the source wants of this site')
    .option('--tls-key <file>', 'and its key')
    .addHelpText('after', addHelp)
    .action(
      onSite<[string, string], AddOptions>(terminal, async (cli, [name, url], options) => {
        const endpoint = { ...parseEndpoint(url), ...(await endpointOptions(url, options)) };
        const body = { name, endpoint, ...(await secretBody(terminal, options)) };
        const added = await cli.api.ask<Source>({ method: 'POST', path: '/sources', body });
        print(cli, added, () => `source ${name} answers; ${nextAfterAdd(added)}\n`);
      }),
    );

  source
    .command('list')
    .alias('ls')
    .summary('list sources, and whether they answered when last looked at')
    .action(
      onSite<[]>(terminal, async (cli) => {
        const sources = await cli.api.list<Source>('/sources');
        print(cli, sources, () => (sources.length === 0 ? 'no sources\n' : tableOf(sources)));
      }),
    );

  source
    .command('show <source>')
    .summary('show a source; its password and key are shown to nobody')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const path = `/sources/${segment(name)}`;
        const seen = await cli.api.ask<Source>({ method: 'GET', path });
        print(cli, seen, () => facts(sourceFacts(seen)));
      }),
    );

  source
    .command('check <source>')
    .summary('look whether a source answers now')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const path = `/sources/${segment(name)}/check`;
        const seen = await cli.api.ask<Source>({ method: 'POST', path });
        print(cli, seen, () => (seen.reachable ? `source ${seen.name} answers\n` : ''));
        if (!seen.reachable) throw new JobFailed(seen.trouble ?? `source ${name} does not answer`);
      }),
    );

  source
    .command('volumes <source>')
    .summary('list the volumes that a source tells of')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const path = `/sources/${segment(name)}/volumes`;
        const found = await cli.api.ask<SourceVolumes>({ method: 'GET', path });
        print(cli, found, () => sayVolumes(name, found));
      }),
    );

  source
    .command('remove <source>')
    .alias('rm')
    .summary('forget a source and its password')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        await cli.api.ask({ method: 'DELETE', path: `/sources/${segment(name)}` });
        print(cli, { removed: name }, () => `source ${name} is forgotten\n`);
      }),
    );
}

/**
 * @example parseEndpoint('iscsi://10.0.0.7') is { kind: 'iscsi', host: '10.0.0.7' }
 * @throws UsageError
 */
export function parseEndpoint(text: string): { readonly kind: Source['endpoint']['kind'] } {
  const url = URL.parse(text.startsWith('/') ? `file://${text}` : text);
  const wanted = 'nbd://HOST:PORT, nbds://, iscsi://, http(s)://HOST/PATH or file:///DIRECTORY';
  const refused = new UsageError(`wanted a source such as ${wanted}, got "${text}"`);
  switch (url?.protocol) {
    case 'nbd:':
    case 'nbds:':
    case 'iscsi:': {
      const isAddress =
        url.username === '' && ['', '/'].includes(url.pathname) && url.search === '';
      if (!isAddress || url.hostname === '') throw refused;
      const host = url.hostname.replace(/^\[|\]$/g, '');
      const kind = url.protocol === 'iscsi:' ? 'iscsi' : 'nbd';
      return Object.assign({ kind, host } as const, url.port !== '' && { port: Number(url.port) });
    }
    case 'http:':
    case 'https:':
      return Object.assign({ kind: 'http' } as const, { baseUrl: text });
    case 'file:':
      if (url.hostname !== '') throw refused;
      return Object.assign({ kind: 'file' } as const, {
        directory: decodeURIComponent(url.pathname),
      });
    default:
      throw refused;
  }
}

/** @throws UsageError for an option that is not for such a source */
async function endpointOptions(url: string, options: AddOptions): Promise<object> {
  const scheme = url.startsWith('/') ? 'file' : url.slice(0, url.indexOf(':'));
  const { user, initiator, tlsCa, tlsName, tlsCert, tlsKey } = options;
  const only = (schemes: string, given: Readonly<Record<string, string | undefined>>): void => {
    for (const [flag, value] of Object.entries(given)) {
      if (value === undefined || schemes.split(' ').includes(scheme)) continue;
      throw new UsageError(`--${flag} is for a source at ${schemes.replace(' ', ' or ')}://`);
    }
  };
  only('iscsi http https', { user });
  only('iscsi', { initiator });
  only('nbds', {
    'tls-ca': tlsCa,
    'tls-name': tlsName,
    'tls-cert': tlsCert,
    'tls-key': tlsKey,
  });
  switch (scheme) {
    case 'iscsi':
      return {
        ...(user !== undefined && { chapUser: user }),
        ...(initiator !== undefined && { initiatorName: initiator }),
      };
    case 'http':
    case 'https':
      return user === undefined ? {} : { user };
    case 'nbds': {
      if (tlsCa === undefined) throw new UsageError('wanted --tls-ca FILE for a source at nbds://');
      if ((tlsCert === undefined) !== (tlsKey === undefined)) {
        throw new UsageError('wanted --tls-cert FILE and --tls-key FILE together');
      }
      const tls = {
        authority: await readGiven(tlsCa),
        ...(tlsName !== undefined && { serverName: tlsName }),
        ...(tlsCert !== undefined && { certificate: await readGiven(tlsCert) }),
      };
      return { tls };
    }
    default:
      return {};
  }
}

async function secretBody(terminal: Terminal, { user, tlsKey }: AddOptions): Promise<object> {
  if (user !== undefined) {
    return { secret: { password: await terminal.askSecret(`password of ${user}`) } };
  }
  return tlsKey === undefined ? {} : { secret: { privateKey: await readGiven(tlsKey) } };
}

async function readGiven(path: string): Promise<string> {
  try {
    return await readFile(resolve(path), 'utf8');
  } catch (cause) {
    throw new UsageError(`${path} cannot be read: ${String(cause)}`, { cause });
  }
}

function nextAfterAdd({ name, endpoint }: Source): string {
  return endpoint.kind === 'http'
    ? `bring an image in: baton import create NAME=PATH --from ${name}`
    : `its volumes: baton source volumes ${name}`;
}

/** How the volumes of such a source are named, for who has to name one. */
const locators: { readonly [K in Source['endpoint']['kind']]: string } = {
  nbd: "the export's name, nothing for the default one",
  iscsi: 'TARGET/LUN, as iqn.2001-04.com.example:disk/1',
  file: 'a path below the directory',
  http: 'a path below the URL',
};

function sayVolumes(name: string, { listed, volumes }: SourceVolumes): string {
  if (!listed) return `source ${name} does not tell of its volumes; they are named by their path\n`;
  if (volumes.length === 0) return `source ${name} has no volumes\n`;
  return table(
    [
      {
        heading: 'LOCATOR',
        cell: ({ locator }) => (locator === '' ? '"" (the default)' : locator),
      },
      {
        heading: 'SIZE',
        cell: ({ sizeBytes }) => (sizeBytes === undefined ? undefined : sayBytes(sizeBytes)),
        right: true,
      },
    ],
    volumes,
  );
}

function sayAddress({ endpoint }: Source): string {
  switch (endpoint.kind) {
    case 'nbd':
    case 'iscsi': {
      const { kind, host, port, tls } = endpoint;
      const bare = host?.includes(':') === true ? `[${host}]` : host;
      return `${kind}${tls === undefined ? '' : 's'}://${bare}:${port}`;
    }
    case 'file':
      return `file://${endpoint.directory}`;
    case 'http':
      return endpoint.baseUrl ?? '';
  }
}

function tableOf(sources: readonly Source[]): string {
  return table(
    [
      { heading: 'NAME', cell: ({ name }) => name },
      { heading: 'ADDRESS', cell: sayAddress },
      { heading: 'ANSWERED', cell: ({ reachable }) => (reachable ? 'yes' : 'no') },
      { heading: 'CHECKED', cell: ({ checkedAt }) => sayInstant(checkedAt) },
      { heading: 'TROUBLE', cell: ({ trouble }) => trouble },
    ],
    sources,
  );
}

function sourceFacts(source: Source): readonly (readonly [string, string | undefined])[] {
  const { name, id, endpoint, hasSecret, reachable, checkedAt, trouble, createdAt } = source;
  return [
    ['name', name],
    ['id', id],
    ['address', sayAddress(source)],
    ['user', endpoint.user ?? endpoint.chapUser],
    ['secret', hasSecret ? 'kept encrypted' : 'none'],
    ['answered', `${reachable ? 'yes' : 'no'}, ${sayInstant(checkedAt)}`],
    ['trouble', trouble],
    ['volumes', `named by ${locators[endpoint.kind]}`],
    ['created', sayInstant(createdAt)],
  ];
}

const addHelp = `
A source at file:// is a directory of the site's own machine, /dev among them. Where there is a user,
the password is asked for; without a keyboard it is the next line of standard input.

Examples:
  baton source add old nbd://10.0.0.5:10809
  baton source add vault nbds://10.0.0.6 --tls-ca ca.pem --tls-cert us.pem --tls-key us-key.pem
  baton source add san iscsi://10.0.0.7 --user baton
  baton source add images https://images.example/2026
  baton source add disks file:///dev`;
