/** What the demonstration did, as it is printed. */
export interface DemoStep {
  readonly name: string;
  readonly durationMs: number;
  readonly detail: string;
}

/** Runs a step, prints its line, keeps it for the table. */
export class DemoReport {
  readonly #steps: DemoStep[] = [];
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  async step<T>(name: string, work: () => Promise<T>, tell: (result: T) => string): Promise<T> {
    const startedMs = performance.now();
    const result = await work();
    const step = { name, durationMs: performance.now() - startedMs, detail: tell(result) };
    this.#steps.push(step);
    this.#print(line(step));
    return result;
  }

  get steps(): readonly DemoStep[] {
    return this.#steps;
  }
}

function line({ name, durationMs, detail }: DemoStep): string {
  return `${name.padEnd(34)} ${Math.round(durationMs).toString().padStart(7)} ms   ${detail}`;
}

/** `12.3 MiB` */
export function readableBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
