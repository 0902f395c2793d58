/** What happened, in words, for whoever reads a failure. */
const TOLD_LINES = Number(process.env['STORY_LINES'] ?? 40);
const KEPT_LINES = 2000;

/** Ids of one run, by the order in which they were made: short to print, the same in a replay. */
export class Ids {
  #made = 0;

  next(): `${string}-${string}-${string}-${string}-${string}` {
    this.#made += 1;
    return `00000000-0000-4000-8000-${this.#made.toString(16).padStart(12, '0')}`;
  }
}

const idPattern = /00000000-0000-4000-8000-0*([0-9a-f]+)/g;

export class Story {
  readonly #now: () => number;
  readonly #names = new Map<string, string>();
  readonly #lines: string[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** From now on this id is told by a name. */
  name(id: string, name: string): void {
    this.#names.set(id, name);
  }

  tell(line: string): void {
    this.#lines.push(`${(this.#now() / 1000).toFixed(3).padStart(9)} s  ${this.inWords(line)}`);
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines.splice(0, KEPT_LINES);
  }

  inWords(text: string): string {
    return text.replaceAll(idPattern, (id, short: string) => this.#names.get(id) ?? `#${short}`);
  }

  last(lines = TOLD_LINES): readonly string[] {
    return this.#lines.slice(-lines);
  }
}

/** Something that must always be true was not. */
export class Violation extends Error {
  override readonly name = 'Violation';
}
