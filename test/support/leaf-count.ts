/** What the count needs of an event of node:test's runner. */
export interface TestEvent {
  readonly name: string;
  readonly nesting: number;
  readonly file?: string | undefined;
  readonly skip?: string | boolean | undefined;
  readonly todo?: string | boolean | undefined;
  readonly details: {
    readonly type?: string | undefined;
    readonly error?: object | undefined;
  };
}

interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Counts tests, not the suites and tests that only hold others.
 *
 * The runner reports one file after another, and the inner tests before the outer one: a test had
 * others inside when a deeper report came since the last one of its own depth.
 */
export class LeafCount {
  totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  readonly emptyFiles: string[] = [];
  readonly #reported: boolean[] = [];

  get isEmpty(): boolean {
    return Object.values(this.totals).every((total) => total === 0);
  }

  passed(event: TestEvent): void {
    const isLeaf = this.#isLeaf(event);
    // The runner reports a file that held no test as a passed test with the name of the file.
    if (event.nesting === 0 && event.name === event.file) this.emptyFiles.push(event.name);
    else if (isLeaf) this.add(isSetAside(event) ? 'skipped' : 'passed');
  }

  failed(event: TestEvent): void {
    this.#isLeaf(event);
    if (isSetAside(event)) this.add('skipped');
    // An outer test fails with its inner ones, which are counted; or by itself, as in a hook.
    else if (!isByInner(event)) this.add('failed');
  }

  add(kind: keyof Totals): void {
    this.totals = { ...this.totals, [kind]: this.totals[kind] + 1 };
  }

  #isLeaf({ nesting, details }: TestEvent): boolean {
    const hasInner = this.#reported[nesting + 1] ?? false;
    this.#reported[nesting + 1] = false;
    this.#reported[nesting] = true;
    return !hasInner && details.type !== 'suite';
  }
}

function isSetAside({ skip, todo }: TestEvent): boolean {
  // An empty string is a reason too: the runner gives it for `todo: true`.
  return (skip !== undefined && skip !== false) || (todo !== undefined && todo !== false);
}

function isByInner({ details: { error = {} } }: TestEvent): boolean {
  return 'failureType' in error && error.failureType === 'subtestsFailed';
}

/** What `npm test` and CI end with. */
export function closingLine({ totals }: LeafCount): string {
  return `${totals.passed} passed, ${totals.failed} failed`;
}
