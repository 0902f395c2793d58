import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parse } from 'smol-toml';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { checkName } from '../domain/names.ts';
import { DEFAULT_LISTENERS, eachListener, listenerNames } from './listeners.ts';
import type { ListenerName, ListenerPorts } from './listeners.ts';

/** What a server is told; a file gives it, flags override it. */
export interface SiteConfig {
  readonly name: string;
  readonly dataDirectory: string;
  /** The one IP address of all listeners; hosts and peers reach the site there. */
  readonly address: string;
  readonly ports: ListenerPorts;
  /** A program that looks at each drill's copy in the site's own way; absent: there is none. */
  readonly drillCommand?: string | undefined;
}

const MAX_PORT = 65_535;
const Port = Type.Integer({ minimum: 1, maximum: MAX_PORT });

const listenerMembers = Object.fromEntries(
  listenerNames.map((name) => [name, Type.Optional(Port)]),
) as Readonly<Record<ListenerName, ReturnType<typeof Type.Optional<typeof Port>>>>;

const File = Type.Object(
  {
    name: Type.Optional(Type.String()),
    'data-directory': Type.Optional(Type.String()),
    address: Type.Optional(Type.String()),
    'drill-command': Type.Optional(Type.String({ minLength: 1 })),
    ports: Type.Optional(
      Type.Object(
        {
          ...listenerMembers,
          'groups-first': Type.Optional(Port),
          'groups-last': Type.Optional(Port),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);

const validator = Compile(File);

export interface ServeFlags {
  readonly config?: string;
  readonly name?: string;
  readonly data?: string;
  readonly address?: string;
  /** `native=8443`, for any listener. */
  readonly port?: readonly string[];
}

/** @throws Error in an operator's words: which member, what was wanted, what was there */
export function readConfig(flags: ServeFlags): SiteConfig {
  const file = flags.config === undefined ? {} : readFile(flags.config);
  const name = flags.name ?? file.name;
  const dataDirectory = flags.data ?? file['data-directory'];
  if (name === undefined)
    throw new Error('a site needs a name: --name, or name = "…" in the config file');
  if (dataDirectory === undefined) {
    throw new Error(
      'a site needs a place for its data: --data, or data-directory = "…" in the config file',
    );
  }
  const address = flags.address ?? file.address ?? '127.0.0.1';
  if (isIP(address) === 0) throw new Error(`address: wanted an IP address, got "${address}"`);
  const { groups } = DEFAULT_LISTENERS;
  const told = Object.fromEntries((flags.port ?? []).map(readPort));
  const ports: ListenerPorts = {
    ...eachListener((l) => told[l] ?? file.ports?.[l] ?? DEFAULT_LISTENERS[l]),
    groups: {
      first: file.ports?.['groups-first'] ?? groups.first,
      last: file.ports?.['groups-last'] ?? groups.last,
    },
  };
  const drillCommand = file['drill-command'];
  return {
    name: checkName(name),
    dataDirectory: resolve(dataDirectory),
    address,
    ports,
    ...(drillCommand !== undefined && { drillCommand: resolve(drillCommand) }),
  };
}

function readPort(text: string): readonly [ListenerName, number] {
  const [name = '', number = ''] = text.split('=', 2);
  const port = Number(number);
  const listener = listenerNames.find((l) => l === name);
  if (listener !== undefined && /^\d+$/.test(number) && port >= 1 && port <= MAX_PORT) {
    return [listener, port];
  }
  throw new Error(
    `--port: wanted LISTENER=NUMBER, a listener being one of ${listenerNames.join(', ')}, got "${text}"`,
  );
}

function readFile(path: string): Static<typeof File> {
  const content: unknown = parse(readFileSync(path, 'utf8'));
  if (validator.Check(content)) return content;
  const [first] = validator.Errors(content);
  throw new Error(
    `${path}: ${first?.instancePath ?? ''} ${first?.message ?? 'is not as it should be'}`,
  );
}

/** The same as a file that `readConfig` reads. */
export function configFile(config: SiteConfig): string {
  const { name, dataDirectory, address, ports, drillCommand } = config;
  return `# A Baton site. Every member has a flag or a default; see "baton serve --help".
name = ${JSON.stringify(name)}
data-directory = ${JSON.stringify(dataDirectory)}
address = ${JSON.stringify(address)}
${drillCommand === undefined ? '' : `drill-command = ${JSON.stringify(drillCommand)}\n`}
[ports]
${listenerNames.map((l) => `${l} = ${ports[l]}`).join('\n')}
groups-first = ${ports.groups.first}
groups-last = ${ports.groups.last}
`;
}
