/** One or more ways to start each saga. */
import { drills } from './cases/drills.ts';
import { handovers } from './cases/handovers.ts';
import { histories } from './cases/histories.ts';
import { imports } from './cases/imports.ts';
import { members } from './cases/members.ts';
import { moves } from './cases/moves.ts';
import { sessions } from './cases/sessions.ts';
import { volumes } from './cases/volumes.ts';
import type { SagaCase } from './saga-case.ts';

export const cases: readonly SagaCase[] = [
  ...volumes,
  ...members,
  ...sessions,
  ...handovers,
  ...moves,
  ...histories,
  ...drills,
  ...imports,
];
