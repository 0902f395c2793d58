/** The two links between the sites: messages of the control processes, blocks of the data planes. */
import type { SiteId } from '../../src/domain/ids.ts';
import { Refusal } from '../../src/domain/refusal.ts';
import { LinkFailure } from '../../src/ports/engine.ts';
import { answerOf, overTheWire } from '../support/memory-peer.ts';
import type { CarryMessage, PeerMessage } from '../support/memory-peer.ts';
import type { MemoryNetwork } from '../support/memory-network.ts';
import type { AppPorts } from '../../src/app/app-ports.ts';
import type { Random } from './random.ts';
import { WORLD } from './scheduler.ts';
import type { Life, Scheduler } from './scheduler.ts';

export type LinkState = 'up' | 'refusing' | 'silent';

/** A process that listens for messages. */
export interface Listener {
  readonly life: Life;
  readonly ports: AppPorts;
}

/** How bad the link for messages is; each from 0 to 1. */
export interface Weather {
  readonly lost: number;
  readonly twice: number;
  readonly late: number;
}

const CALM: Weather = { lost: 0, twice: 0, late: 0 };
const USUAL_MS = 8;
const LATE_MS = 20_000;
const RETRANSMIT_MS = 700;
const HEARTBEAT_TIMEOUT_MS = 1000;
const TIMEOUT_MS = 10_000;

export class Link {
  messages: LinkState = 'up';
  blocks: LinkState = 'up';
  weather: Weather = CALM;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #network: MemoryNetwork;
  readonly #held = new Map<() => void, { readonly at: string; readonly fail: () => void }>();

  constructor(scheduler: Scheduler, random: Random, network: MemoryNetwork) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#network = network;
  }

  setBlocks(state: LinkState): void {
    this.blocks = state;
    if (state === 'refusing') this.#network.cut();
    else this.#network.mend();
    if (state === 'silent') return;
    for (const goOn of this.#held.keys()) goOn();
    this.#held.clear();
  }

  calm(): void {
    this.weather = CALM;
    this.messages = 'up';
    this.setBlocks('up');
  }

  /** A block's way to the other data plane; on a silent link it waits until somebody cuts it. */
  async beforeBlock({
    host,
    port,
  }: {
    readonly host: string;
    readonly port: number;
  }): Promise<void> {
    await this.#scheduler.after(this.#random.between(0, 3), WORLD);
    if (this.blocks !== 'silent') return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const at = `${host}:${port}`;
    const fail = (): void => reject(new LinkFailure(`${at}: the connection was cut`));
    this.#held.set(resolve, { at, fail });
    await promise;
  }

  /** @returns how many connections were cut */
  cut(host: string, port: number): number {
    const cut = [...this.#held].filter(([, { at }]) => at === `${host}:${port}`);
    for (const [key, { fail }] of cut) {
      this.#held.delete(key);
      fail();
    }
    return cut.length;
  }

  /** How a process of one site sends messages to whoever listens at the other. */
  carrier(life: Life, find: (to: SiteId) => Listener | undefined): CarryMessage {
    return <Request, Answer>(
      message: PeerMessage,
      to: SiteId,
      request: Request,
      handle: (ports: AppPorts, request: Request) => Promise<Answer>,
    ) => {
      const { promise, resolve, reject } = Promise.withResolvers<Answer>();
      const silent = (detail: string): void =>
        reject(new Refusal({ code: 'peer_unreachable', siteId: to, detail }));
      const timeoutMs = message === 'heartbeat' ? HEARTBEAT_TIMEOUT_MS : TIMEOUT_MS;
      const answered = new AbortController();
      void this.#scheduler
        .after(timeoutMs, life, answered.signal)
        .then(() => silent(`${message}: no answer within ${timeoutMs} ms`));
      void promise.catch(() => undefined).finally(() => answered.abort());
      const arrive = async (): Promise<void> => {
        const there = find(to);
        if (there === undefined) return silent(`${message}: connection refused`);
        const answer = answerOf(() => handle(there.ports, overTheWire(request)));
        const bring = await answer.then(
          (value) => () => resolve(overTheWire(value)),
          (error: unknown) => () => reject(error),
        );
        await this.#travel(life, bring);
      };
      if (this.messages === 'refusing') {
        void this.#scheduler.after(2, life).then(() => silent(`${message}: no route`));
        return promise;
      }
      const copies = this.#random.chance(this.weather.twice) ? 2 : 1;
      void this.#travel(WORLD, arrive);
      // A copy may come when everything has moved on.
      if (copies === 2) {
        void this.#scheduler
          .after(this.#random.wait(USUAL_MS, LATE_MS, 0.5), WORLD)
          .then(() => this.#travel(WORLD, arrive));
      }
      return promise;
    };
  }

  /** What cannot pass now is sent again for some time, as TCP does, or lost. */
  async #travel(life: Life, arrive: () => void | Promise<void>): Promise<void> {
    const random = this.#random;
    if (random.chance(this.weather.lost)) return;
    await this.#scheduler.after(random.wait(USUAL_MS, LATE_MS, this.weather.late), life);
    for (let again = 0; this.messages !== 'up'; again += 1) {
      if (again === 8 || random.chance(0.2)) return;
      await this.#scheduler.after(random.between(1, RETRANSMIT_MS), life);
    }
    await arrive();
  }
}
