/** What clients read about the service: its zones, its limits, its extensions. */
import type { FastifyPluginAsync } from 'fastify';
import type { EvsOptions } from './options.ts';
import { seeRegion } from './region.ts';
import { gibibytes } from './schemas.ts';

const UNLIMITED = -1;

export const zones: FastifyPluginAsync<EvsOptions> = async (http, { app }) => {
  const view = { needs: 'view' } as const;

  http.get('/os-availability-zone', { config: view }, async () => {
    const region = await seeRegion(app);
    return {
      availabilityZoneInfo: region.zones.map(({ name, answers }) => ({
        zoneName: name,
        zoneState: { available: answers },
      })),
    };
  });

  http.get('/limits', { config: view }, async () => {
    const { disks } = await seeRegion(app);
    return {
      limits: {
        rate: [],
        absolute: {
          maxTotalVolumes: UNLIMITED,
          maxTotalSnapshots: UNLIMITED,
          maxTotalVolumeGigabytes: UNLIMITED,
          maxTotalBackups: UNLIMITED,
          maxTotalBackupGigabytes: UNLIMITED,
          totalVolumesUsed: disks.length,
          totalGigabytesUsed: disks.reduce((sum, disk) => sum + gibibytes(disk.sizeBytes), 0),
          totalSnapshotsUsed: 0,
          totalBackupsUsed: 0,
          totalBackupGigabytesUsed: 0,
        },
      },
    };
  });

  http.get('/extensions', { config: view }, async () => ({ extensions: [] }));
};
