import { newId } from '../../src/domain/ids.ts';
import type { SiteId } from '../../src/domain/ids.ts';
import { systemClock } from '../../src/main/system-clock.ts';
import { MemoryEngine } from '../support/memory-engine.ts';
import { MemoryNetwork } from '../support/memory-network.ts';
import { BLOCK_BYTES } from '../support/volume-content.ts';
import type { ContractSite, ContractSites } from './contract-sites.ts';

/** Two memory engines that reach each other. Nothing of them is outside this process. */
export function memorySites(): Promise<ContractSites> {
  const network = new MemoryNetwork();
  const [a, b] = [memorySite('127.0.0.1', network), memorySite('127.0.0.2', network)];
  return Promise.resolve({ a, b, close: () => Promise.resolve() });
}

function memorySite(host: string, network: MemoryNetwork): ContractSite {
  const siteId = newId<SiteId>();
  const engine = new MemoryEngine({ siteId, host, network, clock: systemClock });
  return {
    siteId,
    engine,
    restartControl: () => Promise.resolve(),
    killDataPlane: async (groupId) => engine.crashDataPlane(groupId),
    killCopy: async (groupId, copyId) => engine.crashCopy(groupId, copyId),
    writeThere: async (target, volumeId, offset, data) =>
      network.carry(target, volumeId, offset / BLOCK_BYTES, Uint8Array.from(data)),
    attach: async (served, exportName, hostName) => {
      if (served.host !== host) throw new Error(`${served.host} is another site`);
      const { sizeBytes, ended, read, write, leave } = engine.attach(
        served.port,
        exportName,
        hostName,
      );
      return {
        info: { sizeBytes },
        ended,
        read: async (offset) => Buffer.from(read(offset / BLOCK_BYTES)),
        write: async (offset, data) => write(offset / BLOCK_BYTES, Uint8Array.from(data)),
        flush: () => Promise.resolve(),
        disconnect: async () => leave(),
      };
    },
  };
}
