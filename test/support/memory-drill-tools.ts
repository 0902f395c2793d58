import { issueSiteCertificate } from '../../src/certificates/authority.ts';
import type { Credential } from '../../src/certificates/authority.ts';
import { signDrill } from '../../src/certificates/sign-drill.ts';
import type { SiteId } from '../../src/domain/ids.ts';
import type { DrillTools } from '../../src/ports/drill-tools.ts';

/** Sees nothing on a volume, and signs as the site. */
export function memoryDrillTools(authority: Credential, siteId: SiteId): DrillTools {
  let leaf = authority;
  return {
    software: 'Baton in memory',
    check: async ({ volumes }) => {
      leaf = await issueSiteCertificate(authority, { siteId, names: [], addresses: ['127.0.0.1'] });
      const nothing = {
        verdict: 'not_possible',
        detail: 'it is in memory',
        durationMs: 0,
      } as const;
      return {
        volumes: volumes.map(({ volumeId }) => ({
          volumeId,
          checks: [{ what: 'partition table', ...nothing }],
        })),
        command: { what: 'the check command of the site', ...nothing },
      };
    },
    sign: (report) => signDrill(report, leaf, authority.certificate),
  };
}
