/** A story's server that does not start as its neighbour does. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { StartedServer } from '../../src/main/pair.ts';
import type { PairedSite } from '../../src/main/pair-files.ts';

/** Something that starts lyon's server, as `startServer` does. */
export interface ServerStarter {
  readonly start: (dir: string, site: PairedSite) => Promise<StartedServer>;
}

/** Starts a server as `startServer` does, by a program that `runner` runs. */
export async function startBy(
  [program = '', ...words]: readonly string[],
  dir: string,
  site: PairedSite,
): Promise<StartedServer> {
  const pair = join(import.meta.dirname, '../../src/main/pair.ts');
  const script = `
    const { startServer } = await import(${JSON.stringify(pair)});
    await startServer(${JSON.stringify(dir)}, ${JSON.stringify(site)});`;
  const node = [process.execPath, '--input-type=module', '--eval', script];
  await promisify(execFile)(program, [...words, ...node]);
  return { hasEnded: () => false };
}

/** A machine whose clock is wrong by so much, as `faketime` writes it: `+1h`. */
export function wrongClock(offset: string): ServerStarter {
  const runner = ['faketime', '--exclude-monotonic', '-f', offset];
  return { start: (dir, site) => startBy(runner, dir, site) };
}
