import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { signDrill } from '../certificates/sign-drill.ts';
import { Failure } from '../domain/refusal.ts';
import { checkVolumes, runCommand } from '../engines/drill/check-copy.ts';
import { impossible } from '../engines/drill/file-systems.ts';
import { withOpenedCopy } from '../engines/drill/opened-copy.ts';
import type { DrillTools } from '../ports/drill-tools.ts';
import type { SiteConfig } from './config.ts';
import type { SiteIdentity } from './site-identity.ts';

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { readonly version: string };

export function drillTools(
  { dataDirectory, drillCommand }: SiteConfig,
  { leaf, authorityPem, hostCertificates }: SiteIdentity,
): DrillTools {
  return {
    software: `Baton ${version}`,
    sign: (report) => signDrill(report, leaf, authorityPem),
    check: async (copy, signal) => {
      const beganMs = performance.now();
      const directory = join(dataDirectory, 'run', `drill-${copy.drillId}`);
      const bundle = await hostCertificates.issue(copy.hostName);
      try {
        return await withOpenedCopy(copy, { directory, bundle }, signal, async (opened) => ({
          volumes: await checkVolumes(copy, opened, signal),
          command: await runCommand(drillCommand, copy, opened, signal),
        }));
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof Failure)) throw error;
        const all = impossible('everything on the copy', error.message, beganMs);
        return {
          volumes: copy.volumes.map(({ volumeId }) => ({ volumeId, checks: [all] })),
          command: all,
        };
      }
    },
  };
}
