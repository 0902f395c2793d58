/** Everything that a site listens with: one HTTPS server for each dialect, one for its peers. */
import { constants } from 'node:crypto';
import type { Server as HttpsServer, ServerOptions } from 'node:https';
import Fastify from 'fastify';
import type { FastifyHttpsOptions, FastifyInstance } from 'fastify';
import { createApp } from '../app/app.ts';
import type { AppPorts } from '../app/app-ports.ts';
import type { DataPlanes } from '../app/meet-peer.ts';
import type { EvsOptions } from '../dialects/evs/options.ts';
import { PATH as PEER_PATH } from '../peer/v1/messages.ts';
import { peerServer } from '../peer/v1/server.ts';
import type { SiteConfig } from './config.ts';
import { dialects } from './dialects.ts';
import type { Dialect } from './dialects.ts';
import { dialectNames, dialectUrls } from './listeners.ts';
import type { SiteIdentity } from './site-identity.ts';

/** Above the largest message; each dialect has its own limit below. */
const PEER_BODY_BYTES = 8 * 1024 * 1024;

interface Listener {
  readonly server: FastifyInstance;
  readonly port: number;
}

/**
 * Returns when every listener answers.
 *
 * @returns the way to close them all
 * @throws Error when a port is taken; then none listens
 */
export async function listen(
  { address, ports: at }: SiteConfig,
  identity: SiteIdentity,
  ports: AppPorts,
  dataPlanes: DataPlanes,
): Promise<{ readonly close: () => Promise<void> }> {
  const urls = dialectUrls({ address, ports: at });
  const options: EvsOptions = { app: createApp(ports), log: ports.log, urls };
  const listeners: readonly Listener[] = [
    ...(await Promise.all(
      dialectNames.map(async (name): Promise<Listener> => {
        const { server: told, scope, prefix } = dialects[name];
        const server = httpsServer(identity, told);
        await server.register(scope, { prefix, ...options });
        return { server, port: at[name] };
      }),
    )),
    { server: await peerListener(identity, ports, dataPlanes), port: at.peer },
  ];
  const close = async (): Promise<void> => {
    await Promise.all(listeners.map(({ server }) => server.close()));
  };
  try {
    for (const { server, port } of listeners) await server.listen({ host: address, port });
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

async function peerListener(
  identity: SiteIdentity,
  ports: AppPorts,
  dataPlanes: DataPlanes,
): Promise<FastifyInstance> {
  // Any certificate may knock; each message looks whose it is. No tickets: a resumed
  // connection would not show its certificate again.
  const mutual = {
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET,
  } as const;
  const server = httpsServer(identity, { bodyLimit: PEER_BODY_BYTES }, mutual);
  await server.register(peerServer, { prefix: PEER_PATH, ports, dataPlanes });
  return server;
}

function httpsServer(
  { chainPem, leaf }: SiteIdentity,
  told: Dialect['server'],
  tls: ServerOptions = {},
): FastifyInstance {
  const https = { cert: chainPem, key: leaf.privateKey, minVersion: 'TLSv1.2' as const, ...tls };
  const options: FastifyHttpsOptions<HttpsServer> = { https, forceCloseConnections: true, ...told };
  return Fastify(options);
}
