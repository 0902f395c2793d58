/** A site of the simulation: a store and a data plane that stay, and a control process that dies. */
import { createApp } from '../../src/app/app.ts';
import type { App } from '../../src/app/app.ts';
import type { AppPorts } from '../../src/app/app-ports.ts';
import { AttachedHosts } from '../../src/app/attached-hosts.ts';
import type { Instant, SiteId } from '../../src/domain/ids.ts';
import { Failure, Refusal } from '../../src/domain/refusal.ts';
import { LinkFailure } from '../../src/ports/engine.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Log, LogLine } from '../../src/ports/log.ts';
import type { Store } from '../../src/ports/store.ts';
import { FirstWords } from '../../src/reconcilers/first-words.ts';
import { housekeeping } from '../../src/reconcilers/housekeeping.ts';
import { terms } from '../../src/reconcilers/terms.ts';
import type { DataPlanes } from '../../src/app/meet-peer.ts';
import { mirrorWatch } from '../../src/reconcilers/mirror-watch.ts';
import { linkWatch } from '../../src/reconcilers/link-watch.ts';
import { retention } from '../../src/reconcilers/retention.ts';
import { scheduler as cycleScheduler } from '../../src/reconcilers/scheduler.ts';
import { supervisor } from '../../src/reconcilers/supervisor.ts';
import type { Loop } from '../../src/reconcilers/loop.ts';
import { allSagas } from '../../src/sagas/all.ts';
import { GroupGate } from '../../src/sagas/group-gate.ts';
import { SagaRunner } from '../../src/sagas/runner.ts';
import { openSqliteStore } from '../../src/store/sqlite/store.ts';
import { MemoryEngine } from '../support/memory-engine.ts';
import { MemoryImporter } from '../support/memory-importer.ts';
import type { MemoryNetwork } from '../support/memory-network.ts';
import { peerOver } from '../support/memory-peer.ts';
import type { Link, Listener } from './link.ts';
import { clockOf, engineOf, storeOf } from './process.ts';
import type { DrillTools } from '../../src/ports/drill-tools.ts';
import type { EngineWatch } from './process.ts';
import type { Random } from './random.ts';
import { WORLD } from './scheduler.ts';
import type { Life, Scheduler } from './scheduler.ts';
import type { Story } from './story.ts';

export interface SiteOptions {
  readonly id: SiteId;
  readonly name: string;
  readonly host: string;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly story: Story;
  readonly link: Link;
  readonly network: MemoryNetwork;
  readonly find: (id: SiteId) => Listener | undefined;
  readonly onBug: (error: unknown, line: LogLine) => void;
  readonly onSeal: EngineWatch['onSeal'];
  readonly onMove: EngineWatch['onMove'];
  readonly onLook: EngineWatch['onLook'];
  readonly onKeep: EngineWatch['onKeep'];
}

interface Process extends Listener {
  readonly app: App;
  readonly stop: () => Promise<void>;
}

export class SimulatedSite {
  readonly id: SiteId;
  readonly name: string;
  readonly engine: MemoryEngine;
  readonly store: Store;
  /** How wrong this site's wall clock is. */
  readonly wall = { aheadMs: 0 };
  /** What was done in the data plane, by the control process or a host; for who looks for changes. */
  touched = 0;
  readonly #options: SiteOptions;
  #process: Process | undefined;
  #isEnding = false;
  #lives = 0;

  constructor(options: SiteOptions) {
    const { id, name, host, scheduler, random, link, network } = options;
    this.id = id;
    this.name = name;
    this.#options = options;
    const clock = clockOf({ life: WORLD, scheduler, random }, this.wall);
    this.store = openSqliteStore(':memory:', clock);
    const beforeBlock: Link['beforeBlock'] = (target) => link.beforeBlock(target);
    this.engine = new MemoryEngine({ siteId: id, host, network, clock, beforeBlock });
  }

  get listener(): Listener | undefined {
    return this.#process;
  }

  /** By this site's wall clock. */
  now(): Instant {
    const { scheduler, random } = this.#options;
    return clockOf({ life: WORLD, scheduler, random }, this.wall).now();
  }

  /** Absent while the control process is down. */
  get app(): App | undefined {
    return this.#process?.app;
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  /** Another control process over what the last one left; none while that one is still ending. */
  start(): void {
    if (this.isUp || this.#isEnding) return;
    const {
      id: here,
      scheduler,
      random,
      link,
      find,
      onSeal,
      onMove,
      onLook,
      onKeep,
    } = this.#options;
    this.#lives += 1;
    const life: Life = { name: `${this.name} ${this.#lives}`, isOver: false };
    const options = { life, scheduler, random };
    const log = this.#log(life);
    const clock = clockOf(options, this.wall);
    const store = storeOf(this.store, options);
    const engine = engineOf(this.engine, options, {
      onCall: () => (this.touched += 1),
      onSeal,
      onMove,
      onLook,
      onKeep,
    });
    const peer = peerOver(here, link.carrier(life, find));
    const importer = new MemoryImporter(this.engine, new Map());
    const sagaPorts = {
      here,
      engine,
      peer,
      store,
      clock,
      gate: new GroupGate(),
      importer,
      drillTools: noDrills,
    };
    const sagas = new SagaRunner(sagaPorts, allSagas, log);
    const stallBound = { possible: true, why: 'the simulation cuts its links' };
    const ports: AppPorts = { ...sagaPorts, sagas, log, stallBound, ...unused(clock, log) };
    const firstWords = new FirstWords();
    const watch = supervisor(ports, firstWords);
    let loops: readonly Loop[] = [watch];
    const started = sagas.start().then(() => {
      const cutConnections = (host: string, port: number): Promise<number> =>
        Promise.resolve(link.cut(host, port));
      const linkCut = { cutConnections, probe: () => Promise.reject(new Failure('not asked')) };
      const mirrors = mirrorWatch(ports, linkCut);
      const dataPlanes: DataPlanes = async (groupId) => ({
        ...(await watch.dataPlanes(groupId)),
        level: mirrors.level(groupId),
      });
      loops = [
        watch,
        mirrors,
        linkWatch(ports, {
          dataPlanes,
          firstWords,
          linkCut,
          onAnswer: (id, beat) => mirrors.hear(id, beat),
        }),
        cycleScheduler(ports),
        retention(ports),
        housekeeping(ports),
        terms(ports),
      ];
    });
    this.#process = {
      life,
      ports,
      app: createApp(ports),
      stop: async () => {
        await started;
        await Promise.all(loops.map((loop) => loop.stop()));
        await sagas.stop();
      },
    };
  }

  /** Ends the control process at once: nothing that it waits for ever happens. */
  kill(): void {
    if (this.#process !== undefined) this.#process.life.isOver = true;
    this.#process = undefined;
  }

  /** Ends it in an orderly way; it no longer listens meanwhile. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    this.#isEnding = true;
    await process.stop();
    process.life.isOver = true;
    this.#isEnding = false;
  }

  #log({ name }: Life): Log {
    const { story, onBug } = this.#options;
    const tell = (line: LogLine): void => {
      const { event, error, ...facts } = line;
      if (isBug(error)) onBug(error, line);
      if (!untold.has(event)) story.tell(`${name}: ${event} ${wordsOf(facts)}${saying(error)}`);
    };
    return { info: tell, warn: tell, error: tell };
  }
}

const untold = new Set(['points_forgotten', 'saga_step_failed_silently']);

function wordsOf(facts: Readonly<Record<string, unknown>>): string {
  return Object.entries(facts)
    .filter(([key, value]) => value !== undefined && key !== 'durationMs')
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

function saying(error: unknown): string {
  return error instanceof Error ? ` — ${error.message}` : '';
}

/** Refusals and failures are answers; anything else says that the program is wrong. */
function isBug(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof Refusal || error instanceof Failure || error instanceof LinkFailure)
    return false;
  return !['Aborting', 'ShuttingDown'].includes(error.constructor.name);
}

function unused(
  clock: Clock,
  log: Log,
): Pick<
  AppPorts,
  'pairing' | 'certificates' | 'nativeUrl' | 'vault' | 'attached' | 'hostConnections'
> {
  const no = (): never => {
    throw new Error('the simulated sites are paired from the start');
  };
  return {
    pairing: {
      introduction: no,
      authorityFingerprint: no,
      introduce: no,
      trust: no,
      distrust: no,
    },
    certificates: { issue: no },
    nativeUrl: '',
    attached: new AttachedHosts(clock, log),
    hostConnections: { addresses: () => Promise.resolve([]) },
    vault: { seal: no, open: no },
  };
}

const noDrills: DrillTools = {
  software: 'the simulation',
  check: () => Promise.reject(new Error('the simulation has no drills')),
  sign: () => {
    throw new Error('the simulation has no drills');
  },
};
