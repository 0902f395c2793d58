/**
 * A host that follows its group: when a connection is lost it asks both sites, again and again, who
 * serves now. One question at a time for all volumes of the group.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { askSite } from '../../src/cli/native-client.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import type { Attachment } from './answers.ts';
import { hostCredentials } from './baton-pair.ts';
import type { BatonSite } from './baton-pair.ts';

const ASK_AGAIN_MS = 5;
const FOLLOW_LIMIT_MS = 60_000;

interface Holder {
  readonly site: BatonSite;
  readonly attachment: Attachment & { readonly host: string; readonly port: number };
}

export class HolderFollower {
  readonly #sites: readonly BatonSite[];
  readonly #volume: string;
  #asking: Promise<Holder> | undefined;

  /** @param volume one of the group's: all are served at one address */
  constructor(sites: readonly BatonSite[], volume: string) {
    this.#sites = sites;
    this.#volume = volume;
  }

  /** Connects wherever the volume is served, as soon as it is. */
  async connect(volume: string): Promise<NbdConnection> {
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    const { site, attachment } = await this.#asking;
    const { host, port, tlsName } = attachment;
    const tls = { serverName: tlsName, ...(await hostCredentials(site)) };
    return connectNbd({ address: { host, port }, exportName: volume, tls });
  }

  /** The site that serves the group now. */
  async holder(): Promise<BatonSite> {
    return (await this.#ask()).site;
  }

  async #ask(): Promise<Holder> {
    const until = performance.now() + FOLLOW_LIMIT_MS;
    while (performance.now() < until) {
      for (const site of this.#sites) {
        const attachment = await attachmentAt(site, this.#volume);
        if (attachment !== undefined) return { site, attachment };
      }
      await delay(ASK_AGAIN_MS);
    }
    throw new Error(`no site serves ${this.#volume} within ${FOLLOW_LIMIT_MS / 1000} s`);
  }
}

async function attachmentAt(
  site: BatonSite,
  volume: string,
): Promise<Holder['attachment'] | undefined> {
  const path = `/volumes/${volume}/attachment`;
  // Refused where it is not held.
  const found = await askSite<Attachment>(site, { method: 'GET', path }).catch(() => undefined);
  const { host, port, serving = false } = found ?? {};
  if (found === undefined || !serving || host === undefined || port === undefined) return undefined;
  return { ...found, host, port };
}
