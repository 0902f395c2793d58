/** What goes wrong in the world, and comes right again after a while. */
import type { GroupId } from '../../src/domain/ids.ts';
import type { LinkState } from './link.ts';
import type { Link } from './link.ts';
import type { Random } from './random.ts';
import { WORLD } from './scheduler.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimulatedSite } from './site.ts';
import type { Story } from './story.ts';

export interface ChaosWorld {
  readonly sites: readonly SimulatedSite[];
  readonly groups: () => readonly GroupId[];
  readonly link: Link;
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly story: Story;
}

const PLENTY_BYTES = 1024 ** 4;
const USUAL_SEAL_MS = 1;

/** From 0, a quiet world, to 1. */
export class Chaos {
  readonly #world: ChaosWorld;
  readonly #toRight = new Set<() => void>();

  constructor(world: ChaosWorld) {
    this.#world = world;
  }

  /** One thing goes wrong. */
  strike(): void {
    const { random, sites } = this.#world;
    const site = random.pick(sites);
    if (site === undefined) return;
    random.weighted<() => void>([
      [6, () => this.#kill(site)],
      [1, () => this.#restart(site)],
      [4, () => this.#crash(site)],
      [1, () => this.#hang(site)],
      [3, () => this.#messages(random.chance(0.5) ? 'silent' : 'refusing')],
      [3, () => this.#blocks(random.chance(0.6) ? 'silent' : 'refusing')],
      [2, () => this.#both()],
      [1, () => this.#fill(site)],
      [1, () => this.#setClock(site)],
      [1, () => this.#holdSeals(site)],
      [4, () => this.#weather()],
    ])();
  }

  /** From now on nothing is wrong. */
  end(): void {
    const { link, sites, story } = this.#world;
    for (const right of this.#toRight) right();
    this.#toRight.clear();
    link.calm();
    for (const site of sites) if (!site.isUp) site.start();
    story.tell('everything is up again and stays so');
  }

  #kill(site: SimulatedSite): void {
    if (!site.isUp) return;
    site.kill();
    this.#for(`${site.name}: the control process is killed`, 6000, () => site.start());
  }

  #restart(site: SimulatedSite): void {
    if (!site.isUp) return;
    this.#world.story.tell(`${site.name}: the control process is restarted`);
    void site.stop().then(() => {
      if (!site.isUp) site.start();
    });
  }

  #crash(site: SimulatedSite): void {
    const groupId = this.#world.random.pick(this.#world.groups());
    if (groupId === undefined) return;
    site.engine.crashDataPlane(groupId);
    site.touched += 1;
    this.#world.story.tell(`${site.name}: the data plane of ${groupId} dies`);
  }

  #hang(site: SimulatedSite): void {
    const groupId = this.#world.random.pick(this.#world.groups());
    if (groupId === undefined) return;
    site.engine.hang(groupId, true);
    this.#for(`${site.name}: the data plane of ${groupId} hangs`, 4000, () =>
      site.engine.hang(groupId, false),
    );
  }

  #messages(state: LinkState): void {
    const { link } = this.#world;
    link.messages = state;
    this.#for(`the link for messages is ${state}`, 8000, () => (link.messages = 'up'));
  }

  #blocks(state: LinkState): void {
    const { link } = this.#world;
    link.setBlocks(state);
    this.#for(`the link for data is ${state}`, 8000, () => link.setBlocks('up'));
  }

  #both(): void {
    const state = this.#world.random.chance(0.5) ? 'silent' : 'refusing';
    this.#messages(state);
    this.#blocks(state);
  }

  #fill(site: SimulatedSite): void {
    site.engine.leaveFree(4096 * this.#world.random.between(0, 6));
    this.#for(`${site.name}: the disk is full`, 5000, () => site.engine.leaveFree(PLENTY_BYTES));
  }

  #setClock(site: SimulatedSite): void {
    const { random, story } = this.#world;
    const most = random.chance(0.3) ? 3_600_000 : 5000;
    site.wall.aheadMs = random.between(-most, most);
    story.tell(`${site.name}: the clock is set ${site.wall.aheadMs} ms ahead`);
  }

  #holdSeals(site: SimulatedSite): void {
    site.engine.pauseMs = 3000;
    const end = (): void => void (site.engine.pauseMs = USUAL_SEAL_MS);
    this.#for(`${site.name}: seals hold hosts too long`, 2000, end);
  }

  #weather(): void {
    const { link, random } = this.#world;
    const [lost, twice, late] = [random.next() / 5, random.next() / 2, random.next() / 5];
    link.weather = { lost, twice, late };
    const before = link.weather;
    const end = (): void => void (link.weather = before);
    this.#for('messages are lost, doubled and late', 15_000, end);
  }

  #for(words: string, longestMs: number, right: () => void): void {
    const { random, scheduler, story } = this.#world;
    const ms = random.between(20, longestMs);
    story.tell(`${words}, for ${ms} ms`);
    this.#toRight.add(right);
    void scheduler.after(ms, WORLD).then(() => {
      if (this.#toRight.delete(right)) right();
    });
  }
}
