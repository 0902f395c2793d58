/** What the agent says of volumes that are not open. */
import type { SiteWords } from './ask-site.ts';
import { BridgeRefused } from './bridge-refusal.ts';
import type { Standing, Waiting } from './follow-plan.ts';

/** @param completeUpTo by the clock of the site that held it; absent: no site says */
export function sayBroken(completeUpTo: string | undefined): string {
  const lacks =
    completeUpTo === undefined
      ? 'that may lack what was written here'
      : `that has all that was written until ${completeUpTo} and may lack what came after`;
  return `a failover or a restore took the group to a point ${lacks}, so all requests fail`;
}

export const REFRESHED =
  'the copy was refreshed and shows something else now, so all requests fail';

export const sayWaiting = {
  no_site_answers: 'no site answers',
  unknown: 'no site that answers has it',
  not_mapped: 'it is not mapped to this host any more',
  holder_silent: 'the site that holds it does not answer',
  not_served: 'no site serves it now',
} as const;

/** Whether waiting does not mend it, once all sites have answered. */
export function isForGood(standing: Standing): boolean {
  return standing.kind === 'waiting' && final.has(standing.why);
}

const final: ReadonlySet<string> = new Set<Waiting>(['unknown', 'not_mapped']);

interface Attempt {
  readonly host: string;
  readonly standing: Standing;
  readonly words: readonly SiteWords[];
}

/** Why a volume is not attached, to somebody who asked for it. */
export function notAttached(asked: string, { host, standing, words }: Attempt): BridgeRefused {
  const why = standing.kind === 'waiting' ? standing.why : 'not_served';
  const troubles = words.flatMap(({ site, trouble }) =>
    trouble === undefined ? [] : [`${site.name}: ${trouble}`],
  );
  const sentences = {
    no_site_answers: `No site answers. ${troubles.join('; ')}`,
    unknown: `No site that answers has a volume '${asked}'. ${troubles.join('; ')}`,
    not_mapped: `Volume '${asked}' is not mapped to host ${host}.`,
    holder_silent: `The site that holds '${asked}' does not answer. ${troubles.join('; ')}`,
    not_served: `No site serves '${asked}' now. Look at its group, and try again.`,
  };
  return new BridgeRefused('not_followed', sentences[why].trim());
}
