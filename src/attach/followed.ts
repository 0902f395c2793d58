/** What an agent knows of a volume that it follows, and what follows from that alone. */
import type { Closed, FollowedVolume } from './agent-state.ts';
import type { VolumeStatus } from './agent-status.ts';
import { acceptance } from './follow-plan.ts';
import type { KnownWord, Serving, Standing } from './follow-plan.ts';

export interface Followed extends FollowedVolume {
  /** What its present line goes to; absent where the agent does not know. */
  readonly lineTo?: string;
  readonly status?: VolumeStatus;
}

/** A point may be forgotten at its site meanwhile, and what was said of it is true all the same. */
export function closedBy(word: KnownWord, since: string, before: Closed | undefined): Closed {
  const accepts = acceptance(word);
  const remembered = before?.acceptance === accepts ? before.completeUpTo : undefined;
  const completeUpTo = word.history.completeUpTo ?? remembered;
  return { since, acceptance: accepts, ...(completeUpTo !== undefined && { completeUpTo }) };
}

/** What stays the same when it is opened afresh. */
export function identityOf(
  volume: FollowedVolume,
): Pick<FollowedVolume, 'volumeId' | 'reference' | 'name' | 'as' | 'path'> {
  const { volumeId, reference, name, as, path } = volume;
  return { volumeId, name, path, ...(reference && { reference }), ...(as && { as }) };
}

export function referenceOf({ reference, volumeId }: FollowedVolume): string {
  return reference ?? volumeId;
}

export type OpenStanding = Standing & { readonly kind: 'open' };

export interface Target {
  readonly serves: Serving;
  readonly siteId: string;
}

/** In place of where a line goes to. */
export const WALL = 'nowhere';

/** Volumes with the same one share a line. */
export function destinationOf({ serves, siteId }: Target): string {
  const { host, port, instance, exportName } = serves;
  const [, history = ''] = exportName.split('@');
  return [siteId, host, port, instance, history].join(' ');
}
