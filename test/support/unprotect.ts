import type { App } from '../../src/app/app.ts';
import type { Job } from '../../src/app/app-ports.ts';
import type { UnprotectGroup } from '../../src/app/unprotect-group.ts';

/** Ends a session as somebody who has seen what goes with it. */
export async function unprotect(
  app: Pick<App, 'preflightUnprotect' | 'unprotectGroup'>,
  request: Omit<UnprotectGroup, 'confirmation'>,
): Promise<Job> {
  const { confirmation } = await app.preflightUnprotect(request);
  return app.unprotectGroup({ ...request, confirmation });
}
