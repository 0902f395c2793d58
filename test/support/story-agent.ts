/** The agent of a story's host, as a process of its own: the real command, on what was really enrolled. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { detachAll } from '../../src/attach/detach.ts';
import { leaveAcceptance } from '../../src/attach/acceptance.ts';
import { readStatus } from '../../src/attach/agent-status.ts';
import type { VolumeStatus } from '../../src/attach/agent-status.ts';
import type { Enrolment } from '../../src/cli/answers.ts';
import { writeBundle } from '../../src/cli/host-bundle.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import { startNumberedWriter } from '../../src/main/numbered-writer.ts';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { TwoSites } from './two-sites.ts';

const COMMAND = resolve(import.meta.dirname, '../../src/main/baton.ts');
const STATUS_LIMIT_MS = 30_000;
const STALL_LIMIT_MS = 120_000;
const MIB = 1024 * 1024;

export interface AgentOptions {
  readonly host?: string;
  /** Where its volumes appear; a directory of its own unless told. */
  readonly in?: string;
  readonly patience?: string;
  /** How its volumes appear. */
  readonly as?: 'socket' | 'fuse' | 'nbd';
  /** Told where they will appear, before anything is attached. */
  readonly before?: (directory: string) => Promise<void>;
}

export class StoryAgent {
  readonly directory: string;
  readonly #stateDirectory: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #said = '';

  private constructor(directory: string, args: readonly string[]) {
    this.directory = directory;
    this.#stateDirectory = join(directory, 's');
    this.#args = [...args, '--state', this.#stateDirectory];
  }

  /** Enrols the story's host and attaches the volumes, which are mapped to it. */
  static async attach(
    sites: TwoSites,
    volumes: readonly string[],
    options: AgentOptions = {},
  ): Promise<StoryAgent> {
    const { host = 'app1', patience = '60s', as = 'socket', before } = options;
    const directory = join(sites.dir, `h${(made += 1)}`);
    const [bundle, appear] = [join(directory, 'bundle'), options.in ?? join(directory, 'v')];
    await mkdir(appear, { recursive: true });
    await before?.(appear);
    const path = `/hosts/${host}/enrolment`;
    await writeBundle(bundle, await sites.paris.ask<Enrolment>({ method: 'POST', path }));
    const agent = new StoryAgent(directory, [
      ...[
        'attach',
        ...volumes,
        '--bundle',
        bundle,
        `--${as}`,
        ...(as === 'nbd' ? [] : [appear]),
        '--patience',
        patience,
      ],
    ]);
    await agent.start();
    return agent;
  }

  /** Again after it was killed. @returns when its volumes are attached */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [COMMAND, ...this.#args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const attached = Promise.withResolvers<void>();
    child.stdout?.setEncoding('utf8').on('data', () => attached.resolve());
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said += text));
    child.once('close', () => attached.reject(new Error(`the agent ended: ${this.#said}`)));
    await attached.promise;
    attached.promise.catch(() => undefined);
  }

  /** What it said so far. */
  said(): string {
    return this.#said;
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'close');
    child.kill(signal);
    await ended;
  }

  /** Ends it, and all that it attached. */
  async detach(): Promise<void> {
    await detachAll(this.#stateDirectory);
    await this.signal('SIGKILL');
  }

  accept(acceptance: string): Promise<void> {
    return leaveAcceptance(this.#stateDirectory, acceptance);
  }

  pathOf(volume: string): string {
    return join(this.directory, 'v', volume);
  }

  /** What the agent says of a volume, once it is as told. */
  async statusOnce(
    volume: string,
    sentence: string,
    isSo: (status: VolumeStatus) => boolean,
  ): Promise<VolumeStatus> {
    let last: VolumeStatus | undefined;
    return waitUntil(`${volume}: ${sentence}`, STATUS_LIMIT_MS, async () => {
      last = (await readStatus(this.#stateDirectory)).find(({ name }) => name === volume);
      return last !== undefined && isSo(last) ? last : undefined;
    }).catch((error: unknown) => {
      const seen = `last seen: ${JSON.stringify(last)}; it said: ${this.#said}`;
      throw new Error(`${String(error)}; ${seen}`, { cause: error });
    });
  }

  /** A volume as programs on this host have it: through its socket. */
  connect(volume: string): Promise<NbdConnection> {
    return connectNbd({
      address: { socketPath: this.pathOf(volume) },
      exportName: volume,
      stallTimeoutMs: STALL_LIMIT_MS,
    });
  }

  /** Writes numbered blocks through the sockets, until it is stopped. */
  startWriter(volumes: readonly string[]): Promise<NumberedWriter> {
    return startNumberedWriter({
      volumes: volumes.map((label) => ({ label, sizeBytes: 16 * MIB })),
      writesPerSecond: 400,
      flushEvery: 50,
      seed: 1,
      connect: (label) => this.connect(label),
    });
  }
}

let made = 0;
