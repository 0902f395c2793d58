import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cases } from './cases.ts';
import type { SagaCase } from './saga-case.ts';
import { troubles, undoTroubles } from './fate.ts';
import type { Fate } from './fate.ts';
import { mustEnd, partsOf, run } from './harness.ts';
import type { Run } from './harness.ts';
import type { Picture, SitePicture } from './picture.ts';

/** After the point of no return a failure is tried again until it works. */
const TIMES = 10;

/** Each way to start these sagas, with each trouble at each of their parts. */
export function testSagas(kinds: readonly string[]): void {
  for (const sagaCase of cases.filter(({ kind }) => kinds.includes(kind))) testSaga(sagaCase);
}

function testSaga(sagaCase: SagaCase): void {
  describe(`${sagaCase.kind}: ${sagaCase.name}`, () => {
    let undisturbed: Run;

    test('undisturbed it is done', async (t) => {
      undisturbed = await run(t, sagaCase);
      assert.equal(undisturbed.saga.state, 'done', undisturbed.saga.outcome?.message ?? '');
    });

    test('aborted at once, it is undone or done, and nothing in between', async (t) => {
      const aborted = await run(t, sagaCase, {
        atOnce: (site, jobId) => site.app.abortJob({ jobId, by: 'the harness' }),
      });

      assertEnd(sagaCase, undisturbed, aborted, aborted.saga.state);
    });

    for (const way of ['there', 'back'] as const) {
      test(`any message lost on the way ${way}, once, it is undone or done`, async (t) => {
        for (const message of undisturbed.messages) {
          const disturbed = await run(t, sagaCase, { lost: { message, way } });
          assertEnd(sagaCase, undisturbed, disturbed, disturbed.saga.state);
        }
      });
    }

    const parts = partsOf(sagaCase.kind);
    for (const [index, part] of parts.entries()) {
      for (const trouble of troubles) {
        test(`${part.name}: ${trouble}`, async (t) => {
          const disturbed = await run(t, sagaCase, {
            fate: { ...fateOf(sagaCase, index), trouble },
          });

          assert.ok(disturbed.met > 0, 'the part was met');
          assertEnd(sagaCase, undisturbed, disturbed, mustEnd(parts, index, trouble));
        });
      }
    }

    const noReturn = parts.findIndex(({ is }) => is === 'point_of_no_return');
    for (const [index, part] of parts
      .slice(0, noReturn === -1 ? parts.length : noReturn)
      .entries()) {
      for (const undoTrouble of undoTroubles) {
        test(`${part.name}: refused, then ${undoTrouble}`, async (t) => {
          const trouble = 'refused after it was done';
          const fate = { ...fateOf(sagaCase, index), trouble, undoTrouble } as const;

          assertEnd(sagaCase, undisturbed, await run(t, sagaCase, { fate }), 'undone');
        });
      }
    }
  });
}

function fateOf({ kind }: SagaCase, part: number): Fate {
  return { kind, part, trouble: undefined, undoTrouble: undefined, times: TIMES };
}

function assertEnd(
  sagaCase: SagaCase,
  undisturbed: Run,
  { before, after, saga }: Run,
  state: Run['saga']['state'],
): void {
  assert.equal(saga.state, state, saga.outcome?.message ?? '');
  const { undone = same, blur = same, blurDone = same } = sagaCase;
  if (state === 'done') assert.deepEqual(blurDone(after), blurDone(undisturbed.after));
  else {
    assert.deepEqual(lasting(blur(after)), lasting(blur(undone(before))));
  }
}

const same = (before: Picture): Picture => before;

/** Points that were made on the way stay, and with them what is half sent: it is gone on with. */
function lasting({ paris, lyon }: Picture): unknown {
  return { paris: withoutPoints(paris), lyon: withoutPoints(lyon) };
}

function withoutPoints(site: SitePicture): unknown {
  const held = site.held
    .filter((one) => one.present !== undefined || one.points.length > 0 || !one.receiving)
    .map((one) => ({ ...one, points: [], receiving: false, sending: false }));
  return { ...site, points: [], held };
}
