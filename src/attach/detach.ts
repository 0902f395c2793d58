import { resolve as absolute } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { askAgentToLeave } from './agent-lock.ts';
import { readAgentState, writeAgentState } from './agent-state.ts';
import { writeStatus } from './agent-status.ts';
import { disappear } from './appearance.ts';
import { Lines } from './lines.ts';

/**
 * Detaches all that an agent attached, whether the agent runs or not. Safe to repeat.
 *
 * @returns where the volumes appeared
 */
export async function detachAll(directory: string): Promise<readonly string[]> {
  const stateDirectory = absolute(directory);
  await askAgentToLeave(stateDirectory);
  const { volumes } = await readAgentState(stateDirectory);
  if (volumes.length === 0) return [];
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const lines = await Lines.open(stateDirectory);
  for (const volume of volumes) {
    await disappear(stateDirectory, volume);
    await lines.drop(volume.volumeId);
  }
  await lines.endUnused();
  await writeAgentState(stateDirectory, { version: 1, volumes: [] });
  await writeStatus(stateDirectory, []);
  return volumes.map(({ path }) => path);
}
