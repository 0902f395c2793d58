/** A drill on two sites in memory, beside what operators do meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitUntil } from '../../src/main/wait-until.ts';
import { memoryPair } from '../support/memory-site.ts';
import { copiedOrders, groupNamed } from '../sagas/preparations.ts';

const LIMIT_MS = 10_000;
const LOOK_MS = 500;

test('a drill whose test is ended by hand ends when the copy is gone, not before', async (t) => {
  const pair = await memoryPair(t);
  await copiedOrders(pair);
  const { lyon } = pair;
  const groupId = await groupNamed(lyon, 'orders');
  const { engine } = lyon;
  const { drillTools } = lyon.ports;
  const check = drillTools.check.bind(drillTools);
  const discard = engine.discardCopy.bind(engine);
  let isBeingClosed = false;
  Object.assign(drillTools, {
    check: async (...asked: Parameters<typeof check>) => {
      const [copy] = await lyon.app.listCopies({ groupId });
      await lyon.app.discardCopy({ copyId: copy!.id });
      await waitUntil('the copy is being closed', LIMIT_MS, async () => isBeingClosed || undefined);
      return check(...asked);
    },
  });
  const { jobId } = await lyon.app.runDrill({ groupId, operator: 'us' });
  const stepsOf = async () => (await lyon.app.showJob(jobId)).steps.map(({ name }) => name);
  let hasEndedEarly = false;
  engine.discardCopy = async (...of) => {
    isBeingClosed = true;
    await waitUntil('the drill has looked', LIMIT_MS, async () =>
      (await stepsOf()).includes('check') ? true : undefined,
    );
    const waits = waitUntil('the test counts as ended', LOOK_MS, async () =>
      (await stepsOf()).includes('end-test') ? true : undefined,
    );
    hasEndedEarly = await waits.catch(() => false);
    return discard(...of);
  };

  assert.equal((await lyon.ended(jobId)).state, 'done');

  assert.equal(hasEndedEarly, false);
  assert.deepEqual(await lyon.app.listCopies({ groupId }), []);
});
