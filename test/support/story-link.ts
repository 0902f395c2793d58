/**
 * A link between two sites that can go silent: packets vanish, nobody is told. Lyon lives in a
 * network namespace of its own, and a third one routes between it and everybody else.
 *
 *   this machine, paris  .1 ──veth── .2  router  .5 ──veth── .6  lyon
 */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { StartedServer } from '../../src/main/pair.ts';
import { pairFile, planPair } from '../../src/main/pair-files.ts';
import type { PairedSite, PairOptions } from '../../src/main/pair-files.ts';
import { startBy } from './story-server.ts';
import type { Scope } from './two-sites.ts';

const run = promisify(execFile);

/** Why such a link cannot be made here; for a test's `skip`. */
export const whyNoNamespaces =
  process.getuid?.() === 0 ? false : 'network namespaces need root, which this run has not';

export class SilentLink {
  readonly addresses: readonly [paris: string, lyon: string];
  readonly #lyon = `baton-lyon-${process.pid}`;
  readonly #router = `baton-link-${process.pid}`;
  readonly #ends = [`bp${process.pid}`, `bl${process.pid}`] as const;
  readonly #prefix: string;

  private constructor() {
    this.#prefix = `10.${128 + ((process.pid >> 8) & 0x7f)}.${process.pid & 0xff}`;
    this.addresses = [`${this.#prefix}.1`, `${this.#prefix}.6`];
  }

  /** One at a time in a process. It goes away with the scope. */
  static async make(scope: Scope): Promise<SilentLink> {
    const link = new SilentLink();
    scope.after(() => link.#remove());
    await link.#build();
    return link;
  }

  /** From now on every packet between the two sites is lost. */
  async goSilent(): Promise<void> {
    await Promise.all(this.addresses.map((to) => this.#route('replace', 'blackhole', to)));
  }

  async goOn(): Promise<void> {
    await Promise.all(this.addresses.map((to) => this.#route('del', 'blackhole', to)));
  }

  /** From now on every packet to that site is lost, and those from it arrive. */
  async loseWhatGoesTo(site: 'paris' | 'lyon'): Promise<void> {
    await this.#route('replace', 'blackhole', this.#addressOf(site));
  }

  async bringWhatGoesTo(site: 'paris' | 'lyon'): Promise<void> {
    await this.#route('del', 'blackhole', this.#addressOf(site));
  }

  #addressOf(site: 'paris' | 'lyon'): string {
    return this.addresses[site === 'paris' ? 0 : 1];
  }

  /** Starts a server as `startServer` does, at lyon's end. */
  start(dir: string, site: PairedSite): Promise<StartedServer> {
    return startBy(['ip', 'netns', 'exec', this.#lyon], dir, site);
  }

  async #build(): Promise<void> {
    const [router, lyon, [paris, far], p] = [this.#router, this.#lyon, this.#ends, this.#prefix];
    const script = `
      netns add ${router}
      netns add ${lyon}
      link add ${paris} type veth peer name paris netns ${router}
      link add ${far} type veth peer name lyon netns ${router}
      link set ${far} netns ${lyon}
      address add ${p}.1/30 dev ${paris}
      link set ${paris} up
      -n ${router} address add ${p}.2/30 dev paris
      -n ${router} address add ${p}.5/30 dev lyon
      -n ${router} link set paris up
      -n ${router} link set lyon up
      -n ${lyon} address add ${p}.6/30 dev ${far}
      -n ${lyon} link set ${far} up
      -n ${lyon} link set lo up
      -n ${lyon} route add default via ${p}.5
      route add ${p}.4/30 via ${p}.2`;
    for (const line of script.trim().split('\n')) await run('ip', line.trim().split(' '));
    const forward = 'echo 1 > /proc/sys/net/ipv4/ip_forward';
    await run('ip', ['netns', 'exec', router, 'sh', '-c', forward]);
  }

  async #remove(): Promise<void> {
    // A namespace takes its interfaces with it, and an interface its routes and its other end.
    for (const name of [this.#router, this.#lyon]) await run('ip', ['netns', 'delete', name]);
  }

  async #route(...words: readonly string[]): Promise<void> {
    await run('ip', ['-n', this.#router, 'route', ...words]);
  }
}

/** Writes a pair down as `pairUp` does, so that its servers can be started one by one. */
export async function layOutPair(options: PairOptions): Promise<readonly PairedSite[]> {
  const { pair, files } = planPair(options, 'story-password');
  for (const [path, text] of files) {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, text);
  }
  await writeFile(pairFile(pair.dir), JSON.stringify(pair), { mode: 0o600 });
  return pair.sites;
}
