/** How an operator tells a running agent, or the next one, that what there is now is accepted. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from './agent-state.ts';

const ACCEPTED = 'accepted';

/** @param acceptance what the agent printed when it closed the volume */
export function leaveAcceptance(stateDirectory: string, acceptance: string): Promise<void> {
  return writeWhole(stateDirectory, ACCEPTED, `${acceptance}\n`);
}

/** What was accepted since the last look; it counts once. */
export async function takeAcceptance(stateDirectory: string): Promise<string | undefined> {
  const file = join(stateDirectory, ACCEPTED);
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text !== undefined) await rm(file, { force: true });
  return text?.trim();
}
