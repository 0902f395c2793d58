/** One run: a world in trouble for some steps, and then at rest. */
import { mock } from 'node:test';
import { Chaos } from './chaos.ts';
import { contentsDiffer, notReplicating, putRight, unrest } from './ending.ts';
import { writeSomething } from './hosts.ts';
import { askSomething } from './operator.ts';
import { WORLD } from './scheduler.ts';
import { Ids, Violation } from './story.ts';
import { World } from './world.ts';

export interface Run {
  readonly seed: number;
  readonly steps: number;
}

export interface RunReport {
  readonly steps: number;
  readonly elapsedMs: number;
  readonly story: readonly string[];
}

/** How long a world without trouble may take until it is at rest, and replicates again. */
const REST_LIMIT_MS = 240_000;
const MOST_CYCLES = 12;
const OPERATOR_EVERY_MS = 3000;

/** @throws Error with the story, when something that must be true was not */
export async function simulate({ seed, steps }: Run): Promise<RunReport> {
  const ids = new Ids();
  // Ids are the only chance in the program itself: here they come in the order in which they are made.
  const randomUUID = mock.method(crypto, 'randomUUID', () => ids.next());
  const world = new World(seed);
  try {
    await trouble(world, steps);
    await rest(world);
    return { steps: world.steps, elapsedMs: world.scheduler.nowMs, story: world.story.last() };
  } catch (error) {
    throw new Error(failure(world, { seed, steps }, error), { cause: error });
  } finally {
    randomUUID.mock.restore();
    for (const { site } of world.observed) await site.store.close();
  }
}

async function trouble(world: World, steps: number): Promise<void> {
  const { random, truth, observed, story, link, scheduler } = world;
  await world.begin();
  const sites = observed.map(({ site }) => site);
  const chaos = new Chaos({ sites, groups: () => world.groups, link, random, scheduler, story });
  link.weather = { lost: 0, twice: random.chance(0.5) ? random.next() / 2 : 0, late: 0 };
  // Some worlds are wild, and in the calm ones more of what is asked comes true.
  const strikesEveryMs = random.between(300, random.chance(0.5) ? 2000 : 12_000);
  const asksEveryMs = random.between(100, 1500);
  const operator = { observed, truth, random, story, onViolation: world.report };
  let isTroubled = true;
  const often = (everyMs: number, what: () => void): void => {
    void scheduler.after(random.between(1, 2 * everyMs), WORLD).then(() => {
      if (!isTroubled) return;
      what();
      often(everyMs, what);
    });
  };
  hostsWrite(world);
  often(asksEveryMs, () => askSomething(operator));
  often(strikesEveryMs, () => chaos.strike());
  while (world.steps < steps) await world.step();
  isTroubled = false;
  chaos.end();
}

function hostsWrite(world: World): void {
  const { truth, observed, random, scheduler, report } = world;
  void scheduler.after(random.between(1, 120), WORLD).then(() => {
    if (world.isWritten) {
      try {
        writeSomething(truth, observed, random);
      } catch (error) {
        report(error);
      }
    }
    hostsWrite(world);
  });
}

async function rest(world: World): Promise<void> {
  const { truth, observed } = world;
  await until(world, () => unrest(truth, observed));
  const sinceMs = world.scheduler.nowMs;
  await until(world, () => world.groups.flatMap((id) => notReplicating(id, observed, sinceMs)));
  await until(world, () => unrest(truth, observed));
  world.isWritten = false;
  for (const groupId of world.groups) {
    const holder = observed.find(
      ({ site, mirror }) =>
        mirror.groups.get(groupId)?.ownership.holder === site.id && mirror.sessionOf(groupId),
    );
    if (holder?.site.app === undefined) continue;
    // Points that waited go first, and one that runs may have been sealed before the last write.
    let wrong: string | undefined = 'not looked yet';
    for (let cycles = 0; wrong !== undefined && cycles < MOST_CYCLES; cycles += 1) {
      const { jobId } = await world.happens(holder.site.app.synchronizeGroup({ groupId }));
      await world.happens(holder.site.app.endOfJob(jobId));
      wrong = contentsDiffer(truth, groupId, observed);
    }
    if (wrong !== undefined) throw new Violation(`contents are equal after a sync: ${wrong}`);
  }
}

/** Goes on, an operator helping now and then, until there is nothing left to say. */
async function until(world: World, why: () => readonly string[]): Promise<void> {
  const { scheduler, observed, story } = world;
  const limitMs = scheduler.nowMs + REST_LIMIT_MS;
  let helpAtMs = scheduler.nowMs;
  let lookAtMs = scheduler.nowMs;
  let words: readonly string[] = ['not looked yet'];
  while (words.length > 0) {
    if (scheduler.nowMs > limitMs)
      throw new Violation(`the world does not come to rest: ${words.join('; ')}`);
    if (scheduler.nowMs >= helpAtMs) {
      helpAtMs = scheduler.nowMs + OPERATOR_EVERY_MS;
      for (const groupId of world.groups)
        for (const one of observed)
          void putRight(groupId, one).then((line) => line && story.tell(line), world.report);
    }
    await world.step();
    if (scheduler.nowMs < lookAtMs) continue;
    lookAtMs = scheduler.nowMs + 200;
    words = why();
  }
}

function failure({ story, steps }: World, run: Run, error: unknown): string {
  const cause =
    error instanceof Error
      ? `${error.message}${error.cause instanceof Error ? `: ${error.cause.stack}` : ''}`
      : String(error);
  return [
    `seed ${run.seed}, step ${steps}: ${story.inWords(cause)}`,
    ...story.last(),
    `again: SEED=${run.seed} STEPS=${run.steps} npm test -- test/simulation/simulation.test.ts`,
    ...(error instanceof Violation ? [] : [String((error as Error).stack)]),
  ].join('\n');
}
