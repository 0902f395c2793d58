import { resolve as absolute, join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { askAgentToLeave } from './agent-lock.ts';
import { readAgentState, writeAgentState } from './agent-state.ts';
import { writeStatus } from './agent-status.ts';
import { endFollowedBridge } from './followed-bridge.ts';
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
  for (const { volumeId, path } of volumes) {
    const pidFile = bridgePidFile(stateDirectory, volumeId);
    await endFollowedBridge({ path, pidFile });
    await lines.drop(volumeId);
  }
  await lines.endUnused();
  await writeAgentState(stateDirectory, { version: 1, volumes: [] });
  await writeStatus(stateDirectory, []);
  return volumes.map(({ path }) => path);
}

export function bridgePidFile(stateDirectory: string, volumeId: string): string {
  return join(stateDirectory, `${volumeId}.pid`);
}
