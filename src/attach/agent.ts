/**
 * The agent of a host: keeps each attached volume connected to the site that holds it.
 *
 *   words of all sites ─▶ where each volume stands ─▶ lines: start the new, switch to it, end the old
 *                                              └────▶ walls, where the host must not go on
 *
 * Bridges and lines are processes of their own. The agent may die and be started again: requests go
 * on meanwhile, and where the history of a volume has ended they find no server to go on with.
 */
import { mkdir } from 'node:fs/promises';
import { resolve as absolute } from 'node:path';
import type { HostBundle } from '../cli/host-bundle.ts';
import { readAgentState, writeAgentState } from './agent-state.ts';
import type { Appearance, FollowedVolume } from './agent-state.ts';
import { takeAcceptance } from './acceptance.ts';
import { keepAsking, wordOn } from './ask-site.ts';
import type { SiteWords, ToldState } from './ask-site.ts';
import { lockAgent } from './agent-lock.ts';
import { writeStatus } from './agent-status.ts';
import type { VolumeStatus } from './agent-status.ts';
import { appear, appearAgain, disappear, isBridged, placeFor } from './appearance.ts';
import { REFRESHED, isForGood, notAttached, sayBroken, sayWaiting } from './agent-words.ts';
import { BridgeRefused } from './bridge-refusal.ts';
import { acceptance, standingOf } from './follow-plan.ts';
import type { KnownWord, Standing, Word } from './follow-plan.ts';
import { WALL, closedBy, destinationOf, identityOf, referenceOf } from './followed.ts';
import type { Followed, OpenStanding, Target } from './followed.ts';
import { Lines } from './lines.ts';
import type { Line } from './lines.ts';

const FIRST_WORD_LIMIT_MS = 15_000;
const LOOK_AGAIN_MS = 500;

export interface AgentOptions {
  readonly bundle: HostBundle;
  /** Names or ids. */
  readonly volumes: readonly string[];
  readonly as: Appearance;
  /** Each volume appears here, under its name. */
  readonly directory: string;
  readonly patienceSeconds: number;
  /** Where the agent keeps what it must know when it is started again. */
  readonly stateDirectory: string;
  /** Told whenever something has changed for a volume. */
  readonly onChange: (seen: VolumeStatus) => void;
}

export class Agent {
  /** Resolves when `askAgentToLeave` wants it to. */
  readonly askedToLeave: Promise<void>;
  readonly #options: AgentOptions;
  readonly #lines: Lines;
  readonly #unlock: () => Promise<void>;
  readonly #words = new Map<string, SiteWords>();
  readonly #stopping = new AbortController();
  readonly #volumes = new Map<string, Followed>();
  /** Lines whose server has closed: another one is made though it leads to the same place. */
  readonly #stale = new Set<string>();
  #wake = Promise.withResolvers<void>();
  #ended: Promise<unknown> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();

  private constructor(
    options: AgentOptions,
    lines: Lines,
    unlock: () => Promise<void>,
    askedToLeave: Promise<void>,
  ) {
    this.#options = options;
    this.#lines = lines;
    this.#unlock = unlock;
    this.askedToLeave = askedToLeave;
  }

  /**
   * Attaches the volumes, or takes over what an earlier agent attached, and follows them.
   *
   * @throws BridgeRefused — nothing was attached that was not before
   */
  static async start(options: AgentOptions): Promise<Agent> {
    const stateDirectory = absolute(options.stateDirectory);
    await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
    const asked = Promise.withResolvers<void>();
    const unlock = await lockAgent(stateDirectory, asked.resolve);
    const lines = await Lines.open(stateDirectory);
    const agent = new Agent({ ...options, stateDirectory }, lines, unlock, asked.promise);
    try {
      await agent.#begin();
      return agent;
    } catch (reason) {
      await agent.leave();
      throw reason;
    }
  }

  /** Volumes as they appear on this host. */
  volumes(): readonly FollowedVolume[] {
    return [...this.#volumes.values()];
  }

  /** Stops following. What is attached stays so, for the next agent. */
  async leave(): Promise<void> {
    this.#stopping.abort();
    this.#wake.resolve();
    await this.#ended;
    await this.#saving;
    await this.#unlock();
  }

  async #begin(): Promise<void> {
    const { bundle, stateDirectory, volumes: asked } = this.#options;
    const known = (await readAgentState(stateDirectory)).volumes;
    for (const volume of known) this.#volumes.set(volume.volumeId, volume);
    const wanted = (): readonly string[] => [
      ...new Set([...asked, ...[...this.#volumes.values()].map(referenceOf)]),
    ];
    const { signal } = this.#stopping;
    const asking = bundle.sites.map((site) =>
      keepAsking(
        site,
        wanted,
        () => this.#states(),
        (words) => this.#hear(words),
        signal,
      ),
    );
    this.#ended = Promise.all(asking);
    try {
      for (const one of asked) await this.#attach(one);
    } catch (reason) {
      const before = new Set(known.map(({ volumeId }) => volumeId));
      const made = [...this.#volumes.values()].filter(({ volumeId }) => !before.has(volumeId));
      for (const volume of made) await this.#forget(volume);
      throw reason;
    }
    this.#ended = Promise.all([...asking, this.#follow()]);
  }

  #states(): readonly ToldState[] {
    return [...this.#volumes.values()].flatMap(({ status }) => {
      if (status === undefined) return [];
      const { volumeId, state, why } = status;
      return [{ volumeId, state, ...(why !== undefined && { why }) }];
    });
  }

  #hear(words: SiteWords): void {
    this.#words.set(words.site.id, words);
    this.#wake.resolve();
  }

  /** A volume that is not attached yet, or whose bridge is gone: whatever there is now is taken. */
  async #attach(asked: string): Promise<void> {
    const already = [...this.#volumes.values()].find(
      ({ name, volumeId }) => name === asked.replace('/', '.') || volumeId === asked,
    );
    const { as, directory, stateDirectory } = this.#options;
    if (already?.closed) return;
    if (already !== undefined && (await isBridged(stateDirectory, already))) {
      await appearAgain(stateDirectory, already);
      return;
    }
    const { word, standing } = await this.#firstWord(asked);
    const path = await placeFor(as, directory, word.name);
    const { volumeId, name, sizeBytes, history, reference } = word;
    if (already !== undefined) await this.#end(already);
    const volume = { volumeId, name, sizeBytes, history: history.id, as, path };
    const followed = reference === undefined ? volume : { ...volume, reference };
    await this.#open(followed, standing);
  }

  async #firstWord(
    asked: string,
  ): Promise<{ readonly word: KnownWord; readonly standing: OpenStanding }> {
    const deadline = performance.now() + FIRST_WORD_LIMIT_MS;
    for (;;) {
      const words = this.#wordsOn(asked);
      this.#requireOne(asked, words);
      const standing = standingOf(undefined, words);
      if (standing.kind === 'open') return { word: standing.word, standing };
      const isAnswered = this.#words.size === this.#options.bundle.sites.length;
      const isOver = performance.now() > deadline;
      const isFinal = isAnswered && isForGood(standing);
      if (isOver || isFinal) {
        const { host } = this.#options.bundle;
        throw notAttached(asked, { host, standing, words: [...this.#words.values()] });
      }
      await this.#woken();
    }
  }

  /** Copies are each site's own, and two may have one name. */
  #requireOne(asked: string, words: ReadonlyMap<string, Word>): void {
    const ids = [...words.values()].flatMap((word) => (word.found === 'here' ? word.volumeId : []));
    if (new Set(ids).size <= 1) return;
    const sentence = `Several sites have a copy's volume '${asked}'. Name it by its ids.`;
    throw new BridgeRefused('not_followed', sentence);
  }

  /** Durable before the host can see anything of it. */
  async #open(volume: FollowedVolume, standing: OpenStanding): Promise<void> {
    const { serves, siteId } = standing;
    await this.#keep(volume);
    try {
      await this.#lead([{ ...volume, serves, siteId }]);
      const { stateDirectory, patienceSeconds } = this.#options;
      const linePath = this.#lines.linkOf(volume.volumeId);
      await appear(stateDirectory, volume, { linePath, patienceSeconds });
      this.#tellOpen(volume, standing);
    } catch (reason) {
      await this.#forget(volume);
      throw reason;
    }
  }

  async #follow(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        await this.#reconcile();
      } catch (reason) {
        // Tried again: the site may have moved on between its word and our call.
        this.#tellTrouble(reason);
      }
      await this.#woken();
    }
  }

  async #reconcile(): Promise<void> {
    await this.#acceptWhatWasAccepted();
    const wanted: (Followed & Target & { readonly standing: OpenStanding })[] = [];
    for (const volume of this.#volumes.values()) {
      const standing = standingOf(volume.history, this.#wordsOn(referenceOf(volume)));
      if (volume.closed !== undefined || standing.kind === 'broken') {
        await this.#close(volume, standing);
      } else if (standing.kind === 'open') {
        const { serves, siteId } = standing;
        if (await this.#needsLine(volume, standing)) {
          wanted.push({ ...volume, serves, siteId, standing });
        } else this.#tellOpen(volume, standing);
      } else {
        // Its requests are done with or sent again. A site that is only silent may still answer them.
        if (standing.why === 'not_served') this.#stale.add(volume.volumeId);
        this.#tell(volume, { state: 'waiting', why: sayWaiting[standing.why] });
      }
    }
    for (const group of Map.groupBy(wanted, destinationOf).values()) await this.#lead(group);
    for (const volume of wanted) this.#tellOpen(volume, volume.standing);
    await this.#lines.endUnused();
  }

  async #needsLine(volume: Followed, { serves, siteId }: OpenStanding): Promise<boolean> {
    if (this.#stale.has(volume.volumeId)) return true;
    if ((await this.#lines.running(volume.volumeId)) === undefined) return true;
    if (volume.lineTo !== undefined) return volume.lineTo !== destinationOf({ serves, siteId });
    // Left by an earlier agent, who may have missed a move.
    return true;
  }

  /** Brings volumes that are served at one place there, over one line. */
  async #lead(volumes: readonly (FollowedVolume & Target)[]): Promise<void> {
    const [first] = volumes;
    const site = this.#options.bundle.sites.find(({ id }) => id === first?.siteId);
    if (first === undefined || site === undefined) return;
    const { credentialsDirectory } = site;
    const { patienceSeconds } = this.#options;
    const line = await this.#lines.start({
      volumes,
      credentialsDirectory: absolute(credentialsDirectory),
      patienceSeconds,
    });
    for (const { volumeId, ...target } of volumes) {
      await this.#lines.use(volumeId, line);
      this.#stale.delete(volumeId);
      const volume = this.#volumes.get(volumeId);
      if (volume) this.#volumes.set(volumeId, { ...volume, lineTo: destinationOf(target) });
    }
    await this.#lines.endUnused();
  }

  /** The record first: an agent that starts now would else open it again. */
  async #close(volume: Followed, standing: Standing): Promise<void> {
    const before = volume.closed;
    const since = before?.since ?? new Date().toISOString();
    const closed =
      standing.kind === 'waiting' ? { ...before, since } : closedBy(standing.word, since, before);
    const isNews = JSON.stringify(before) !== JSON.stringify(closed);
    if (isNews) await this.#keep({ ...volume, closed });
    if (volume.lineTo !== WALL) {
      const wall: Line = await this.#lines.startWall(volume);
      await this.#lines.use(volume.volumeId, wall);
      // Before anybody is told: what goes through the line until now may still be answered.
      await this.#lines.endUnused();
      this.#volumes.set(volume.volumeId, { ...volume, closed, lineTo: WALL });
    }
    const now = this.#volumes.get(volume.volumeId) ?? volume;
    const why = volume.reference === undefined ? sayBroken(closed.completeUpTo) : REFRESHED;
    const { acceptance: accepts } = closed;
    this.#tell(now, { state: 'closed', why, ...(accepts && { acceptance: accepts }) });
  }

  /** What had it open is parted from it: it would go on with what it remembers. */
  async #acceptWhatWasAccepted(): Promise<void> {
    const closed = [...this.#volumes.values()].filter((v) => v.closed !== undefined);
    if (closed.length === 0) return;
    const accepted = await takeAcceptance(this.#options.stateDirectory);
    if (accepted === undefined) return;
    for (const volume of closed) {
      const standing = standingOf(undefined, this.#wordsOn(referenceOf(volume)));
      if (standing.kind !== 'open' || acceptance(standing.word) !== accepted) continue;
      await this.#end(volume);
      const { sizeBytes, history } = standing.word;
      const fresh = { ...identityOf(volume), sizeBytes, history: history.id };
      await this.#open(fresh, standing);
    }
  }

  #tellOpen(volume: Followed, { siteId, word }: OpenStanding): void {
    const site = this.#options.bundle.sites.find(({ id }) => id === siteId)?.name ?? siteId;
    this.#tell(volume, { state: 'open', site, epoch: word.epoch });
  }

  #tellTrouble(reason: unknown): void {
    const why = reason instanceof Error ? reason.message : String(reason);
    for (const volume of this.#volumes.values()) {
      if (volume.status?.state !== 'open') this.#tell(volume, { state: 'waiting', why });
    }
  }

  #tell(
    { volumeId, name, path }: Followed,
    told: Omit<VolumeStatus, 'volumeId' | 'name' | 'path'>,
  ): void {
    const volume = this.#volumes.get(volumeId);
    const status = { volumeId, name, path, ...told };
    if (volume === undefined || JSON.stringify(volume.status) === JSON.stringify(status)) return;
    this.#volumes.set(volumeId, { ...volume, status });
    this.#options.onChange(status);
    const all = [...this.#volumes.values()].flatMap((one) => one.status ?? []);
    const { stateDirectory } = this.#options;
    this.#saving = this.#saving.then(() => writeStatus(stateDirectory, all));
  }

  #wordsOn(asked: string): ReadonlyMap<string, Word> {
    const entries = [...this.#words].map(([id, { words }]): [string, Word] => [
      id,
      wordOn(words, asked),
    ]);
    return new Map(entries);
  }

  async #end(volume: FollowedVolume): Promise<void> {
    await disappear(this.#options.stateDirectory, volume);
    await this.#lines.drop(volume.volumeId);
  }

  async #keep(volume: Followed): Promise<void> {
    this.#volumes.set(volume.volumeId, volume);
    await this.#save();
  }

  async #forget(volume: FollowedVolume): Promise<void> {
    await this.#end(volume);
    await this.#lines.endUnused();
    this.#volumes.delete(volume.volumeId);
    await this.#save();
  }

  #save(): Promise<void> {
    const volumes = [...this.#volumes.values()].map(
      ({ lineTo: _lineTo, status: _status, ...volume }) => volume,
    );
    return writeAgentState(this.#options.stateDirectory, { version: 1, volumes });
  }

  /** Something was heard, or some time has passed. */
  async #woken(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LOOK_AGAIN_MS);
    await Promise.race([this.#wake.promise, promise]);
    clearTimeout(timer);
    this.#wake = Promise.withResolvers<void>();
  }
}
