/** How a followed volume appears on this host: its bridge, and what stands on that. */
import { join, resolve as absolute } from 'node:path';
import type { Appearance, FollowedVolume } from './agent-state.ts';
import { runningDaemon } from './daemon-process.ts';
import { endFollowedBridge, startFollowedBridge } from './followed-bridge.ts';
import { connectDevice, disconnectDevice, freeDevice, isConnected } from './volume-device.ts';
import type { VolumeDevice } from './volume-device.ts';
import { hideFile, isShown, showFile } from './volume-file.ts';
import type { VolumeFile } from './volume-file.ts';

type Appearing = Pick<FollowedVolume, 'volumeId' | 'name' | 'as' | 'path'>;

export interface BridgeWay {
  /** A link to the socket of its present line. */
  readonly linePath: string;
  readonly patienceSeconds: number;
}

/**
 * Where a volume is to appear.
 *
 * @throws BridgeRefused where this host has no devices
 */
export async function placeFor(as: Appearance, directory: string, name: string): Promise<string> {
  return as === 'device' ? freeDevice() : join(absolute(directory), name);
}

/**
 * Starts the bridge, and what shows it. They go on when this process ends.
 *
 * @throws BridgeRefused — nothing is left
 */
export async function appear(
  stateDirectory: string,
  volume: Appearing,
  way: BridgeWay,
): Promise<void> {
  const { volumeId, name } = volume;
  await startFollowedBridge({ volumeId, name, ...bridgeFiles(stateDirectory, volume), ...way });
  try {
    await appearAgain(stateDirectory, volume);
  } catch (reason) {
    await disappear(stateDirectory, volume);
    throw reason;
  }
}

/**
 * Starts what shows a bridge that runs, where that has ended. Nothing that was acknowledged was in it.
 *
 * @throws BridgeRefused — the bridge runs, and shows nowhere
 */
export async function appearAgain(stateDirectory: string, volume: Appearing): Promise<void> {
  const { path: socketPath } = bridgeFiles(stateDirectory, volume);
  if (volume.as === 'file') {
    const file = fileOf(stateDirectory, volume);
    if (!(await isShown(file))) await showFile(file, socketPath, volume.name);
  } else if (volume.as === 'device') {
    const device = deviceOf(stateDirectory, volume);
    if (!(await isConnected(device))) await connectDevice(device, volume.name);
  }
}

/** Parts whoever has it open from it. Safe to repeat, in whatever state it is. */
export async function disappear(stateDirectory: string, volume: Appearing): Promise<void> {
  if (volume.as === 'file') await hideFile(fileOf(stateDirectory, volume));
  if (volume.as === 'device') await disconnectDevice(deviceOf(stateDirectory, volume));
  await endFollowedBridge(bridgeFiles(stateDirectory, volume));
}

/** Whether its bridge runs. */
export async function isBridged(stateDirectory: string, volume: Appearing): Promise<boolean> {
  return (await runningDaemon(bridgeFiles(stateDirectory, volume).pidFile)) !== undefined;
}

/** Of a volume that is a socket, that is the bridge's own; else the bridge has one of ours. */
function bridgeFiles(
  stateDirectory: string,
  { volumeId, as, path }: Appearing,
): { readonly path: string; readonly pidFile: string } {
  return {
    path: as === 'file' || as === 'device' ? join(stateDirectory, `${volumeId}.sock`) : path,
    pidFile: join(stateDirectory, `${volumeId}.pid`),
  };
}

function fileOf(stateDirectory: string, { volumeId, path }: Appearing): VolumeFile {
  return { path, pidFile: join(stateDirectory, `${volumeId}.file.pid`) };
}

function deviceOf(stateDirectory: string, volume: Appearing): VolumeDevice {
  return { path: volume.path, socketPath: bridgeFiles(stateDirectory, volume).path };
}
