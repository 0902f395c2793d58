import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LinkFailure } from '../../ports/engine.ts';
import type { SendPoint } from '../../ports/engine.ts';
import { listExports } from '../nbd/connection.ts';
import type { NbdTls } from '../nbd/target.ts';
import type { Group } from './group.ts';

const ANSWER_LIMIT_MS = 3_000;

/**
 * Shakes hands with the target as the daemon is about to: the daemon itself would stand still for
 * minutes while it connects to a machine that does not answer.
 *
 * @throws LinkFailure
 */
export async function reachTarget(
  group: Group,
  { peerId, target }: Pick<SendPoint, 'peerId' | 'target'>,
  signal?: AbortSignal,
): Promise<void> {
  const tls = await linkTls(group, { peerId, target });
  signal?.throwIfAborted();
  try {
    await listExports({
      address: { host: target.host, port: target.port },
      tls,
      connectTimeoutMs: ANSWER_LIMIT_MS,
    });
  } catch (cause) {
    throw new LinkFailure(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

/** How this process proves itself to a daemon of its own site. */
export function siteTls(group: Group): Promise<NbdTls> {
  const { siteDirectory, tlsName } = group.site.options.tls;
  return readTls(siteDirectory, tlsName);
}

/** How this process proves itself to the target's daemon, as the site. */
export function linkTls(
  group: Group,
  { peerId, target }: Pick<SendPoint, 'peerId' | 'target'>,
): Promise<NbdTls> {
  return readTls(group.site.options.tls.peerDirectory(peerId), target.tlsName);
}

async function readTls(directory: string, serverName: string): Promise<NbdTls> {
  const [trusted = '', certificate = '', privateKey = ''] = await Promise.all(
    ['ca-cert.pem', 'client-cert.pem', 'client-key.pem'].map((file) =>
      readFile(join(directory, file), 'utf8'),
    ),
  );
  return { serverName, trusted, certificate, privateKey };
}
