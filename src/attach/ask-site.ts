/** One site's word on the volumes that are followed, asked for again as soon as it is given. */
import { setTimeout as passes } from 'node:timers/promises';
import type { BundledSite } from '../cli/host-bundle.ts';
import { ProblemAnswer, askSite } from '../cli/native-client.ts';
import type { Word } from './follow-plan.ts';

/** The site answers sooner where there is something new. */
const WAIT_SECONDS = 5;
const ANSWER_LIMIT_MS = (WAIT_SECONDS + 3) * 1000;
const ASK_AGAIN_MS = 250;

type Answered = Word & { readonly asked: string };

/** How a volume stands here, for whoever looks at the site. */
export interface ToldState {
  readonly volumeId: string;
  readonly state: 'open' | 'waiting' | 'closed';
  readonly why?: string;
}

export interface SiteWords {
  readonly site: BundledSite;
  /** By what was asked for. */
  readonly words: ReadonlyMap<string, Word>;
  /** Why the site said nothing, or no. */
  readonly trouble: string | undefined;
}

/**
 * Asks until the signal, and tells each answer. Silence is told as such, once each time it begins.
 *
 * @param volumes ids or names; looked at before each question, as `states` is
 */
export async function keepAsking(
  site: BundledSite,
  volumes: () => readonly string[],
  states: () => readonly ToldState[],
  tell: (words: SiteWords) => void,
  signal: AbortSignal,
): Promise<void> {
  let seen: string | undefined;
  let isSilent = false;
  while (!signal.aborted) {
    const asked = volumes();
    const waitSeconds = seen === undefined ? 0 : WAIT_SECONDS;
    const body = { volumes: asked, states: states(), waitSeconds, seen };
    try {
      const answer = await askSite<{
        readonly seen: string;
        readonly volumes: readonly Answered[];
      }>(site, { method: 'POST', path: '/follow', body, timeoutMs: ANSWER_LIMIT_MS, signal });
      const words = new Map(answer.volumes.map((word) => [word.asked, word]));
      if (answer.seen !== seen || isSilent) tell({ site, words, trouble: undefined });
      ({ seen } = answer);
      isSilent = false;
    } catch (error) {
      if (signal.aborted) return;
      const trouble = error instanceof Error ? error.message : String(error);
      const words = new Map(asked.map((one) => [one, { found: 'silent' } as const]));
      if (!isSilent) tell({ site, words, trouble });
      isSilent = true;
      // Words that were given before are history: the next answer is told whatever it is.
      seen = undefined;
      const isRefused = error instanceof ProblemAnswer;
      await passes(isRefused ? 4 * ASK_AGAIN_MS : ASK_AGAIN_MS, undefined, { signal }).catch(
        () => undefined,
      );
    }
  }
}

/** Also where it was asked for by its other name. */
export function wordOn(words: SiteWords['words'], asked: string): Word {
  const isMeant = (word: Word): boolean =>
    word.found === 'here' && (word.volumeId === asked || word.name === asked);
  return words.get(asked) ?? [...words.values()].find(isMeant) ?? { found: 'silent' };
}
