import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { parse } from 'smol-toml';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { checkName } from '../domain/names.ts';

/** What a server is told; a file gives it, flags override it. */
export interface SiteConfig {
  readonly name: string;
  readonly dataDirectory: string;
  /** The one IP address of all listeners; hosts and peers reach the site there. */
  readonly address: string;
  readonly ports: ListenerPorts;
}

export interface ListenerPorts {
  /** The native API and the console. */
  readonly native: number;
  /** The site-to-site protocol. */
  readonly peer: number;
  /** Data planes, one for each group. */
  readonly groups: { readonly first: number; readonly last: number };
}

export const DEFAULT_LISTENERS: ListenerPorts = {
  native: 8443,
  peer: 8444,
  groups: { first: 10_900, last: 11_899 },
};

/** Every port moved up by the same number. */
export function offsetPorts(ports: ListenerPorts, offset: number): ListenerPorts {
  return {
    native: ports.native + offset,
    peer: ports.peer + offset,
    groups: { first: ports.groups.first + offset, last: ports.groups.last + offset },
  };
}

const Port = Type.Integer({ minimum: 1, maximum: 65_535 });

const File = Type.Object(
  {
    name: Type.Optional(Type.String()),
    'data-directory': Type.Optional(Type.String()),
    address: Type.Optional(Type.String()),
    ports: Type.Optional(
      Type.Object(
        {
          native: Type.Optional(Port),
          peer: Type.Optional(Port),
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
  const { native, peer, groups } = DEFAULT_LISTENERS;
  const ports: ListenerPorts = {
    native: file.ports?.native ?? native,
    peer: file.ports?.peer ?? peer,
    groups: {
      first: file.ports?.['groups-first'] ?? groups.first,
      last: file.ports?.['groups-last'] ?? groups.last,
    },
  };
  return { name: checkName(name), dataDirectory: resolve(dataDirectory), address, ports };
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
export function configFile({ name, dataDirectory, address, ports }: SiteConfig): string {
  return `# A Baton site. Every member has a flag or a default; see "baton serve --help".
name = ${JSON.stringify(name)}
data-directory = ${JSON.stringify(dataDirectory)}
address = ${JSON.stringify(address)}

[ports]
native = ${ports.native}
peer = ${ports.peer}
groups-first = ${ports.groups.first}
groups-last = ${ports.groups.last}
`;
}
