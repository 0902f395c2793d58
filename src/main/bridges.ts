import type { Bridges } from '../cli/attach-command.ts';

/** The daemons that bring a volume to a host. Loaded when one is wanted: most commands need none. */
export const bridges: Bridges = {
  follow: async (request) => {
    const { Agent } = await import('../attach/agent.ts');
    return Agent.start(request);
  },
  statusOf: async (directory) => {
    const { readStatus } = await import('../attach/agent-status.ts');
    return readStatus(directory);
  },
  accept: async (directory, acceptance) => {
    const { leaveAcceptance } = await import('../attach/acceptance.ts');
    return leaveAcceptance(directory, acceptance);
  },
  detachAll: async (directory) => {
    const { detachAll } = await import('../attach/detach.ts');
    return detachAll(directory);
  },
  open: async (request) => {
    const { bridgeVolume } = await import('../attach/bridge-volume.ts');
    return bridgeVolume(request);
  },
  openDetached: async (request) => {
    const { bridgeVolumeDetached } = await import('../attach/bridge-volume.ts');
    return bridgeVolumeDetached(request);
  },
  end: async (socketPath) => {
    const { endBridge } = await import('../attach/bridge-socket.ts');
    return endBridge(socketPath);
  },
};
