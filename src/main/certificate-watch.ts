/** Says in time that this site's certificate ends: it is renewed when the site starts, and not before. */
import { daysLeft, isRenewalDue } from '../certificates/expiry.ts';
import type { Clock } from '../ports/clock.ts';
import type { Log } from '../ports/log.ts';
import { loop } from '../reconcilers/loop.ts';
import type { Loop } from '../reconcilers/loop.ts';

const REST_MS = 24 * 60 * 60_000;

interface Deps {
  readonly clock: Clock;
  readonly log: Log;
}

/** @param certificatePem what the site shows since it has started */
export function certificateWatch(ports: Deps, certificatePem: string): Loop {
  return loop(ports, 'certificate-watch', REST_MS, () => {
    const now = new Date(ports.clock.now());
    if (isRenewalDue(certificatePem, now)) {
      ports.log.warn({
        event: 'certificate_ends_soon',
        daysLeft: daysLeft(certificatePem, now),
        wanted: 'a restart of this site, which renews it; hosts go on meanwhile',
      });
    }
    return Promise.resolve();
  });
}
