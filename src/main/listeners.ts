/** Where a site listens: names, usual ports and URLs. Nothing is loaded for it, nothing started. */

/** Each dialect has its own port: vendors' clients fix theirs, and the dialects' paths collide. */
const dialectListeners = {
  native: { port: 8443, path: '/api/v1' },
  powerstore: { port: 9443, path: '/api/rest' },
  nimble: { port: 5392, path: '/v1' },
  evs: { port: 8776, path: '' },
  identity: { port: 5000, path: '/v3' },
} as const;

export type DialectName = keyof typeof dialectListeners;

export const dialectNames = Object.keys(dialectListeners) as readonly DialectName[];

/** The listeners that have one port: the dialects, and the site-to-site protocol. */
export type ListenerName = DialectName | 'peer';

export const listenerNames: readonly ListenerName[] = [...dialectNames, 'peer'];

export interface ListenerPorts extends Readonly<Record<ListenerName, number>> {
  /** Data planes, one for each group. */
  readonly groups: { readonly first: number; readonly last: number };
}

export const DEFAULT_LISTENERS: ListenerPorts = {
  ...eachListener((name) => (name === 'peer' ? 8444 : dialectListeners[name].port)),
  groups: { first: 10_900, last: 11_899 },
};

/** Every port moved up by the same number. */
export function offsetPorts(ports: ListenerPorts, offset: number): ListenerPorts {
  return {
    ...eachListener((name) => ports[name] + offset),
    groups: { first: ports.groups.first + offset, last: ports.groups.last + offset },
  };
}

export function eachListener(
  portOf: (name: ListenerName) => number,
): Readonly<Record<ListenerName, number>> {
  const entries = listenerNames.map((name) => [name, portOf(name)]);
  return Object.fromEntries(entries) as Readonly<Record<ListenerName, number>>;
}

/** What a client of each dialect is told to go to. */
export function dialectUrls({
  address,
  ports,
}: {
  readonly address: string;
  readonly ports: ListenerPorts;
}): Readonly<Record<DialectName, string>> {
  const entries = dialectNames.map((name) => {
    const { path } = dialectListeners[name];
    return [name, `https://${address}:${ports[name]}${path}`];
  });
  return Object.fromEntries(entries) as Readonly<Record<DialectName, string>>;
}
