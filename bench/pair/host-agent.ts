/** The agent of the benchmark's host: the real command, on what was really enrolled. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { detachAll } from '../../src/attach/detach.ts';
import { socketUri } from '../../src/attach/bridge-volume.ts';
import type { Enrolment } from '../../src/cli/answers.ts';
import { writeBundle } from '../../src/cli/host-bundle.ts';
import { askSite } from '../../src/cli/native-client.ts';
import { connectNbd } from '../../src/engines/nbd/connection.ts';
import type { NbdConnection } from '../../src/engines/nbd/connection.ts';
import { socketTarget } from '../load/fio.ts';
import type { FioTarget } from '../load/fio.ts';
import { HOST, post } from './baton-pair.ts';
import type { BatonPair } from './baton-pair.ts';

const COMMAND = resolve(import.meta.dirname, '../../src/main/baton.ts');
const STALL_LIMIT_MS = 120_000;

export class HostAgent {
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor(directory: string, child: ChildProcess) {
    this.#directory = directory;
    this.#child = child;
  }

  /** Enrols the host and attaches the volumes as sockets. @returns when they are attached */
  static async attach(
    baton: BatonPair,
    directory: string,
    volumes: readonly string[],
  ): Promise<HostAgent> {
    const bundle = join(directory, 'bundle');
    await mkdir(join(directory, 'v'), { recursive: true });
    await writeBundle(bundle, await askSite<Enrolment>(baton.a, post(`/hosts/${HOST}/enrolment`)));
    const options = ['--bundle', bundle, '--socket', join(directory, 'v')];
    const state = ['--state', join(directory, 's')];
    const child = spawn(process.execPath, [COMMAND, 'attach', ...volumes, ...options, ...state], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = once(child, 'close').then(([code]) => {
      throw new Error(`the agent ended with ${code}`);
    });
    ended.catch(() => undefined);
    if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), ended]);
    return new HostAgent(directory, child);
  }

  target(volume: string): FioTarget {
    return socketTarget(socketUri(this.#path(volume), volume));
  }

  connect(volume: string): Promise<NbdConnection> {
    const address = { socketPath: this.#path(volume) };
    return connectNbd({ address, exportName: volume, stallTimeoutMs: STALL_LIMIT_MS });
  }

  /** Ends it, and all that it attached. */
  async close(): Promise<void> {
    await detachAll(join(this.#directory, 's'));
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await ended;
  }

  #path(volume: string): string {
    return join(this.#directory, 'v', volume);
  }
}
