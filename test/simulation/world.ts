/** Two paired sites, a link between them, their hosts and operator, and what must be true of them. */
import { newId } from '../../src/domain/ids.ts';
import type { GroupId, SiteId } from '../../src/domain/ids.ts';
import type { Group } from '../../src/domain/group.ts';
import { MemoryNetwork } from '../support/memory-network.ts';
import { checkChange, checkNothingDiscarded, checkServing } from './check-lines.ts';
import type { Observed } from './check-lines.ts';
import { checkInSync, checkStandbys } from './check-mirrors.ts';
import { checkNeeded, checkPoints } from './check-points.ts';
import type { Compared } from './check-points.ts';
import { Link } from './link.ts';
import { Mirror } from './mirror.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { SimulatedSite } from './site.ts';
import { Story, Violation } from './story.ts';
import { copyOf, tagsOf, Truth } from './truth.ts';
import type { Line } from './truth.ts';

const MIB = 1024 * 1024;
const PEER_PORT = 8444;
const MOST_STEPS = 20_000;

export class World {
  readonly random: Random;
  readonly scheduler: Scheduler;
  readonly story: Story;
  readonly truth = new Truth();
  readonly link: Link;
  readonly observed: readonly Observed[];
  /** Hosts write while this is so. */
  isWritten = true;
  #steps = 0;
  #touched = -1;
  #violation: Error | undefined;
  readonly #compared: Compared = new WeakSet();

  constructor(seed: number) {
    this.random = new Random(seed);
    this.scheduler = new Scheduler(this.random);
    this.story = new Story(() => this.scheduler.nowMs);
    const network = new MemoryNetwork();
    this.link = new Link(this.scheduler, this.random, network);
    this.observed = ['paris', 'lyon'].map((name, index) =>
      this.#addSite(name, `127.0.0.${index + 1}`, network),
    );
  }

  get steps(): number {
    return this.#steps;
  }

  get groups(): readonly GroupId[] {
    return [...this.truth.lines.keys()];
  }

  /** Pairs and starts the sites, and makes some volumes. */
  async begin(): Promise<void> {
    for (const { site } of this.observed) {
      for (const { site: peer } of this.observed) {
        if (peer === site) continue;
        const { id, name } = peer;
        const at = { host: name, port: PEER_PORT, authorityPem: '', pairedAt: 0 };
        await site.store.transaction((tx) => tx.peers.insert({ id, name, ...at }));
      }
      site.start();
    }
    const app = this.observed[0]?.site.app;
    if (app === undefined) throw new Error('paris is not up');
    const group = await this.happens(app.createGroup({ name: 'orders' }));
    this.story.name(group.id, 'orders');
    for (const [name, groupId] of [
      ['data', group.id],
      ['log', group.id],
      ['mail', undefined],
    ] as const) {
      const request = { name, sizeBytes: MIB, ...(groupId && { groupId }) };
      const { jobId, volumeId } = await this.happens(app.createVolume(request));
      this.story.name(volumeId, name);
      await this.happens(app.endOfJob(jobId));
    }
  }

  /** Goes on until this has come. */
  async happens<T>(what: Promise<T>): Promise<T> {
    const over = new AbortController();
    const watched = what.finally(() => over.abort());
    void watched.catch(() => undefined);
    for (let left = MOST_STEPS; !over.signal.aborted && left > 0; left -= 1) await this.step();
    if (over.signal.aborted) return watched;
    throw new Violation('something that was asked in a quiet world never came');
  }

  /** One thing happens, and then everything that must be true is. */
  async step(): Promise<void> {
    this.#steps += 1;
    await this.scheduler.step();
    await this.check();
    if (this.#violation !== undefined) throw this.#violation;
  }

  async check(): Promise<void> {
    const { truth, observed } = this;
    let isChanged = false;
    for (const one of observed) {
      for (const event of await one.mirror.update()) {
        isChanged = true;
        const before = one.mirror.groups.get(event.id as GroupId);
        one.mirror.apply(event);
        if (event.collection === 'groups' && event.row !== undefined) {
          this.#nameGroup(event.row as Group);
          checkChange(truth, one, before, event.row as Group);
        }
      }
    }
    const touched = observed.reduce((sum, { site }) => sum + site.touched, 0);
    if (!isChanged && touched === this.#touched) return;
    this.#touched = touched;
    checkServing(truth, observed);
    for (const one of observed) checkPoints(truth, one, this.#compared);
    for (const one of observed) checkStandbys(truth, one);
    checkInSync(observed);
    checkNeeded(truth, observed);
    checkNothingDiscarded(truth, observed);
  }

  /** Something was found wrong outside of a step; the step in which it was ends with it. */
  readonly report = (violation: unknown): void => {
    this.#violation ??= violation instanceof Error ? violation : new Error(String(violation));
  };

  #addSite(name: string, host: string, network: MemoryNetwork): Observed {
    const { scheduler, random, story, link, truth } = this;
    const id = newId<SiteId>();
    story.name(id, name);
    const site: SimulatedSite = new SimulatedSite({
      id,
      name,
      host,
      scheduler,
      random,
      story,
      link,
      network,
      find: (to) => this.observed.find((one) => one.site.id === to)?.site.listener,
      onBug: (error, { event }) =>
        this.report(new Violation(`a bug at ${name}, ${event}`, { cause: error })),
      onSeal: (groupId, pointId) => {
        const held = site.engine.held(groupId);
        const point = held?.points.find(({ sealed }) => sealed.pointId === pointId);
        if (point && !truth.sealed.has(pointId)) truth.sealed.set(pointId, tagsOf(point.content));
      },
      onKeep: (groupId, pointId) => {
        const held = site.engine.held(groupId);
        const point = held?.points.find(({ sealed }) => sealed.pointId === pointId);
        if (point) truth.kept(groupId, pointId, tagsOf(point.content));
      },
      onLook: (groupId) => {
        const at = site.now();
        const content = copyOf(this.#lineAt(site.id, groupId)?.content ?? new Map());
        return (mirrorId) => truth.look(mirrorId, at, content);
      },
      onMove: (volumeId, from, to) =>
        truth.move(volumeId, this.#lineAt(site.id, from), this.#lineAt(site.id, to)),
    });
    return { site, mirror: new Mirror(id, site.store, () => scheduler.nowMs) };
  }

  #lineAt(siteId: SiteId, groupId: GroupId): Line | undefined {
    return this.truth.linesOf(groupId).findLast((line) => line.holder === siteId);
  }

  #nameGroup({ id, name }: Group): void {
    this.story.name(id, name);
  }
}
