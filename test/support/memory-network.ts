import type { SiteId, VolumeId } from '../../src/domain/ids.ts';
import { LinkFailure } from '../../src/ports/engine.ts';
import type { ReceivingTarget } from '../../src/ports/engine.ts';

/** A data plane that waits for a point, as its sender finds it at an address. */
export interface Receiver {
  readonly siteId: SiteId;
  readonly instance: string;
  readonly exportNames: ReadonlySet<string>;
  readonly read: (volumeId: VolumeId, block: number) => Uint8Array | undefined;
  /** @throws Refusal `no_space` */
  write(volumeId: VolumeId, block: number, bytes: Uint8Array): void;
}

/** Who waits at an address for a sender that looks for these exports. */
export type FindReceiver = (exportNames: readonly string[]) => Receiver | undefined;

/** The links between the data planes of one process, keyed by address, with switches. */
export class MemoryNetwork {
  readonly #receivers = new Map<string, FindReceiver>();
  #down = false;
  #blocksLeft = Number.POSITIVE_INFINITY;

  /** @param receiver what is there whenever somebody asks */
  listen(host: string, port: number, receiver: FindReceiver): void {
    this.#receivers.set(`${host}:${port}`, receiver);
  }

  /** Nothing gets through, from now on. */
  cut(): void {
    this.#down = true;
  }

  /** The link fails once so many blocks have gone over it. */
  cutAfter(blocks: number): void {
    this.#blocksLeft = blocks;
  }

  mend(): void {
    this.#down = false;
    this.#blocksLeft = Number.POSITIVE_INFINITY;
  }

  /** @throws LinkFailure unless the same data plane waits there for the same exports */
  connect(target: ReceivingTarget): Receiver {
    const at = `${target.host}:${target.port}`;
    const receiver = this.#receivers.get(at)?.(target.exports.map((e) => e.exportName));
    if (this.#down) throw new LinkFailure(`${at} does not answer: the link is down`);
    if (receiver === undefined) throw new LinkFailure(`${at}: connection refused`);
    if (receiver.instance !== target.instance) {
      throw new LinkFailure(`${at}: wanted instance ${target.instance}, is ${receiver.instance}`);
    }
    const missing = target.exports.find((e) => !receiver.exportNames.has(e.exportName));
    if (missing !== undefined) throw new LinkFailure(`${at}: no export ${missing.exportName}`);
    return receiver;
  }

  /** One block over the link. */
  carry(target: ReceivingTarget, volumeId: VolumeId, block: number, bytes: Uint8Array): void {
    if (this.#blocksLeft <= 0) this.#down = true;
    this.connect(target).write(volumeId, block, bytes);
    this.#blocksLeft -= 1;
  }
}
