/** Where a followed volume's requests should go, from what the sites say of it. Pure. */

/** What one site says of a volume. */
export type Word =
  | { readonly found: 'silent' | 'unknown' | 'not_mapped' }
  | {
      readonly found: 'here';
      /** Of a copy's volume: what to ask for from now on. */
      readonly reference?: string;
      readonly volumeId: string;
      readonly name: string;
      readonly sizeBytes: number;
      readonly holder: string;
      readonly epoch: number;
      readonly history: {
        readonly id: string;
        readonly pointId?: string;
        /** All that was written until then, by the clock of the site that held it, is there. */
        readonly completeUpTo?: string;
      };
      readonly serves?: Serving;
    };

export type KnownWord = Word & { readonly found: 'here' };

export interface Serving {
  readonly host: string;
  readonly port: number;
  readonly exportName: string;
  readonly tlsName: string;
  /** Changes with every start of the data plane. */
  readonly instance: string;
}

export type Standing =
  | {
      readonly kind: 'open';
      readonly siteId: string;
      readonly serves: Serving;
      readonly word: KnownWord;
    }
  /** Requests wait. */
  | { readonly kind: 'waiting'; readonly why: Waiting }
  /** Requests fail: the newest history is not the one that this host has seen. */
  | { readonly kind: 'broken'; readonly word: KnownWord };

export type Waiting = 'no_site_answers' | 'unknown' | 'not_mapped' | 'holder_silent' | 'not_served';

/**
 * The highest epoch is the newest word, whoever says it. A site that is behind it may still serve, and
 * must not be used: its writes would be lost to everybody else.
 *
 * @param history the one that this host has seen; absent: it has seen none yet
 * @param words of each site, by its id
 */
export function standingOf(
  history: string | undefined,
  words: ReadonlyMap<string, Word>,
): Standing {
  const newest = newestWord(words);
  if (newest === undefined) return { kind: 'waiting', why: whyUnknown([...words.values()]) };
  if (history !== undefined && newest.history.id !== history) {
    return { kind: 'broken', word: newest };
  }
  const holders = words.get(newest.holder);
  // Mappings travel to the other site with the next cycle, so the holder's word on them counts.
  if (holders?.found === 'not_mapped') return { kind: 'waiting', why: 'not_mapped' };
  if (holders?.found !== 'here' || holders.epoch !== newest.epoch) {
    return { kind: 'waiting', why: 'holder_silent' };
  }
  if (holders.serves === undefined) return { kind: 'waiting', why: 'not_served' };
  return { kind: 'open', siteId: newest.holder, serves: holders.serves, word: holders };
}

function newestWord(words: ReadonlyMap<string, Word>): KnownWord | undefined {
  const known = [...words.values()].filter((word) => word.found === 'here');
  return known.toSorted((a, b) => b.epoch - a.epoch)[0];
}

function whyUnknown(words: readonly Word[]): Waiting {
  if (words.some(({ found }) => found === 'not_mapped')) return 'not_mapped';
  return words.some(({ found }) => found === 'unknown') ? 'unknown' : 'no_site_answers';
}

/** What an operator names to go on with the newest history: the point that it began on. */
export function acceptance({ history }: KnownWord): string {
  return history.pointId ?? history.id;
}
