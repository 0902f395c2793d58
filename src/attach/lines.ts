/** The lines that run, and which of them each bridge uses. Bound to one agent's directory. */
import { lstat, readdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { connectNbd } from '../engines/nbd/connection.ts';
import { lineArguments, wallArguments } from './line.ts';
import type { CarriedVolume, LineOptions } from './line.ts';
import { endRunningDaemon, runningDaemon } from './daemon-process.ts';
import { startStorageDaemon } from './storage-daemon.ts';

const SECTOR_BYTES = 512;
const LINE_SOCKET = /^line-(?<number>\d+)\.sock$/;

export interface Line {
  readonly socketPath: string;
  readonly pidFile: string;
}

export class Lines {
  readonly #directory: string;
  #next = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Takes over what an earlier agent left. */
  static async open(directory: string): Promise<Lines> {
    const lines = new Lines(directory);
    for (const { number } of await lines.#found()) lines.#next = Math.max(lines.#next, number + 1);
    return lines;
  }

  /** Where a bridge connects; a link to the socket of the line that it uses. */
  linkOf(volumeId: string): string {
    return join(this.#directory, `${volumeId}.line`);
  }

  /** The line that a volume uses, if it runs. */
  async running(volumeId: string): Promise<Line | undefined> {
    const target = await readlink(this.linkOf(volumeId)).catch(() => undefined);
    if (target === undefined) return undefined;
    const line = this.#line(basename(target));
    return (await runningDaemon(line.pidFile)) === undefined ? undefined : line;
  }

  /**
   * Starts a line to a site. It is connected when this resolves, and nobody uses it yet.
   *
   * @throws BridgeRefused — nothing is left
   */
  async start(options: Omit<LineOptions, 'socketPath' | 'pidFile'>): Promise<Line> {
    return this.#run(this.#newLine(), (made) => lineArguments({ ...options, ...made }));
  }

  /** The same for a wall. */
  async startWall(volume: CarriedVolume): Promise<Line> {
    const line = await this.#run(this.#newLine(), (made) => wallArguments(volume, made));
    // QEMU answers a flush by itself where nothing was written, also where that was tried and failed
    // elsewhere. Once a write has failed here, flushes fail, too.
    const { socketPath } = line;
    const nbd = await connectNbd({ address: { socketPath }, exportName: volume.volumeId });
    await nbd.write(0, Buffer.alloc(SECTOR_BYTES)).catch(() => undefined);
    await nbd.disconnect();
    return line;
  }

  /** From its next connection on the volume's bridge uses this line. */
  async use(volumeId: string, { socketPath }: Line): Promise<void> {
    const fresh = `${this.linkOf(volumeId)}.new`;
    await rm(fresh, { force: true });
    await symlink(basename(socketPath), fresh);
    await rename(fresh, this.linkOf(volumeId));
  }

  /** The volume is not bridged any more. */
  async drop(volumeId: string): Promise<void> {
    await rm(this.linkOf(volumeId), { force: true });
  }

  /**
   * Ends the lines that no bridge uses, at once: what they have not answered is sent again through
   * another line, and must not be answered twice.
   */
  async endUnused(): Promise<void> {
    const entries = await readdir(this.#directory);
    const links = entries.filter((name) => name.endsWith('.line'));
    const used = new Set(
      await Promise.all(
        links.map((name) => readlink(join(this.#directory, name)).catch(() => undefined)),
      ),
    );
    for (const { name, line } of await this.#found()) {
      if (used.has(name)) continue;
      await endRunningDaemon(line.pidFile, 'SIGKILL');
      await rm(line.socketPath, { force: true });
    }
  }

  async #run(line: Line, argumentsOf: (line: Line) => readonly string[]): Promise<Line> {
    const args = argumentsOf(line);
    const daemon = await startStorageDaemon(args, line.pidFile).catch(async (reason: unknown) => {
      await rm(line.socketPath, { force: true });
      throw reason;
    });
    daemon.letGo();
    return line;
  }

  #newLine(): Line {
    this.#next += 1;
    return this.#line(`line-${this.#next}.sock`);
  }

  #line(socketName: string): Line {
    const socketPath = join(this.#directory, socketName);
    return { socketPath, pidFile: `${socketPath}.pid` };
  }

  async #found(): Promise<
    readonly { readonly name: string; readonly number: number; readonly line: Line }[]
  > {
    const names = await readdir(this.#directory);
    const sockets = names.filter((name) => LINE_SOCKET.test(name));
    const found = await Promise.all(
      sockets.map(async (name) => {
        const number = Number(LINE_SOCKET.exec(name)?.groups?.['number']);
        const line = this.#line(name);
        const isSocket = (await lstat(line.socketPath).catch(() => undefined))?.isSocket() ?? false;
        return isSocket ? [{ name, number, line }] : [];
      }),
    );
    return found.flat();
  }
}
