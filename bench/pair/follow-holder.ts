/**
 * A host that follows its group: when a connection is lost it asks both sites, again and again, who
 * holds it, and then where it is open. One question at a time for all volumes of the group. A data plane
 * is asked only when there is something to hear: it has a handover to do.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { askSite } from '../../src/cli/native-client.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import type { Attachment, GroupAnswer } from './answers.ts';
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
  readonly #group: string | undefined;
  readonly #volume: string;
  #asking: Promise<Holder> | undefined;

  /**
   * @param volume one of the group's: all are served at one address
   * @param group absent: it does not move
   */
  constructor(sites: readonly BatonSite[], volume: string, group?: string) {
    this.#sites = sites;
    this.#group = group;
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
        if (this.#group !== undefined && !(await isOpenAt(site, this.#group))) continue;
        const attachment = await attachmentAt(site, this.#volume);
        if (attachment !== undefined) return { site, attachment };
      }
      await delay(ASK_AGAIN_MS);
    }
    throw new Error(`no site serves ${this.#volume} within ${FOLLOW_LIMIT_MS / 1000} s`);
  }
}

/** As far as the site's own word goes. */
async function isOpenAt(site: BatonSite, group: string): Promise<boolean> {
  const { heldHere, fenced } = await askSite<GroupAnswer>(site, {
    method: 'GET',
    path: `/groups/${group}`,
  });
  return heldHere && !fenced;
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
