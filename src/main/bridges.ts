import type { Bridges } from '../cli/attach-command.ts';

/** The daemons that bring a volume to a host. Loaded when one is wanted: most commands need none. */
export const bridges: Bridges = {
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
