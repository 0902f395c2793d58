import type { ByteRange } from '../../src/domain/import-session.ts';
import type { SourceVolume } from '../../src/domain/import-source.ts';
import type { GroupId, VolumeId } from '../../src/domain/ids.ts';
import { Failure, refuse } from '../../src/domain/refusal.ts';
import type {
  ComparedCopies,
  CompareWatch,
  CutOver,
  FoundVolume,
  ImportInspection,
  Importer,
  KeptSource,
  OpenImport,
  OpenedVolume,
  RolledBack,
  SourceAccess,
} from '../../src/ports/importer.ts';
import type { MemoryEngine } from './memory-engine.ts';
import { BLOCK_BYTES, emptyContent, hashContent, withBlock } from './volume-content.ts';
import type { VolumeContent } from './volume-content.ts';

/** A foreign system in this process: its volumes, and switches for trouble. */
export class MemorySource {
  readonly volumes = new Map<string, VolumeContent>();
  isReachable = true;
  /** Blocks that cannot be read, by the volume's locator. */
  readonly unreadable = new Map<string, readonly number[]>();

  addVolume(
    locator: string,
    sizeBytes: number,
    blocks: readonly (readonly [number, number])[],
  ): void {
    const spec = { volumeId: locator as VolumeId, name: locator, sizeBytes };
    const filled = blocks.map(
      ([block, fill]) => [block, new Uint8Array(BLOCK_BYTES).fill(fill)] as const,
    );
    this.volumes.set(locator, { ...emptyContent(spec), blocks: new Map(filled) });
  }

  need(locator: string): VolumeContent {
    const volume = this.volumes.get(locator);
    if (volume === undefined) throw new Failure(`the source has no volume ${locator}`);
    return volume;
  }
}

interface MemoryImport {
  readonly source: MemorySource;
  readonly volumes: readonly OpenedVolume[];
  /** Our copies; they die with the process that makes them. */
  copies: Copies | undefined;
  isCutOver: boolean;
  readonly keepsSource: boolean;
  /** After the cut-over: the process that writes the source, and whether it has all of it. */
  kept: { readonly instance: string; isInStep: boolean } | undefined;
}

interface Copies {
  readonly instance: string;
  readonly contents: Map<VolumeId, VolumeContent>;
  isPaused: boolean;
  isInStep: boolean;
}

/** The importer beside a memory engine: a copy gets on whenever somebody looks at it. */
export class MemoryImporter implements Importer {
  readonly #engine: MemoryEngine;
  readonly #sources: ReadonlyMap<string, MemorySource>;
  readonly #imports = new Map<GroupId, MemoryImport>();
  /** Copies stay where they are. */
  isSlow = false;
  /** Why no cut-over comes about. */
  cutOverTrouble: string | undefined;
  /** Why no copy can be ended. */
  abandonTrouble: string | undefined;

  /** @param sources by the host that their endpoint names */
  constructor(engine: MemoryEngine, sources: ReadonlyMap<string, MemorySource>) {
    this.#engine = engine;
    this.#sources = sources;
    engine.onHostWrite = (groupId, volumeId, block, bytes) =>
      this.#onHostWrite(groupId, volumeId, block, bytes);
  }

  async checkSource(source: SourceAccess): Promise<void> {
    this.#reach(source);
  }

  async listVolumes(source: SourceAccess): Promise<readonly FoundVolume[]> {
    const { volumes } = this.#reach(source);
    return [...volumes].map(([locator, { sizeBytes }]) => ({ locator, sizeBytes }));
  }

  async probeVolume(
    source: SourceAccess,
    { locator }: SourceVolume,
  ): Promise<{ readonly sizeBytes: number }> {
    const volume = this.#reach(source).volumes.get(locator);
    if (volume !== undefined) return { sizeBytes: volume.sizeBytes };
    return refuse({
      code: 'source_unreachable',
      source: source.name,
      detail: `no volume ${locator}`,
    });
  }

  async open(groupId: GroupId, { source, volumes, keepsSource }: OpenImport): Promise<void> {
    const found = this.#reach(source);
    const contents = volumes.map((volume) => {
      const { sizeBytes, blocks } = found.need(volume.from.locator);
      if (sizeBytes !== volume.sizeBytes) {
        const [wanted, seen] = [`${volume.sizeBytes}`, `${sizeBytes}`];
        refuse({ code: 'invalid', field: `size of ${volume.name}`, wanted, seen });
      }
      const { volumeId, name } = volume;
      return { volumeId, name, sizeBytes, blocks };
    });
    this.#engine.showImport(groupId, contents);
    if (this.#known(groupId) !== undefined) return;
    const nothing = { copies: undefined, isCutOver: false, kept: undefined };
    this.#imports.set(groupId, { source: found, volumes, keepsSource, ...nothing });
  }

  async copy(groupId: GroupId): Promise<void> {
    const known = this.#need(groupId);
    const instance = this.#engine.showImport(groupId, []);
    if (known.copies?.instance === instance) {
      known.copies.isPaused = false;
      return;
    }
    const contents = new Map(
      known.volumes.map(({ volumeId, name, sizeBytes }) => [
        volumeId,
        emptyContent({ volumeId, name, sizeBytes }),
      ]),
    );
    known.copies = { instance, contents, isPaused: false, isInStep: false };
  }

  async pause(groupId: GroupId): Promise<void> {
    const copies = this.#copiesOf(this.#need(groupId), groupId);
    if (copies !== undefined) copies.isPaused = true;
  }

  async inspect(groupId: GroupId): Promise<ImportInspection> {
    const known = this.#known(groupId);
    const nothing = { copiedBytes: 0, totalBytes: 0, held: undefined, trouble: undefined };
    if (known === undefined) return { stands: 'nowhere', copy: 'none', ...nothing };
    const stands = known.isCutOver ? 'here' : 'on_source';
    const totalBytes = known.volumes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const copies = this.#copiesOf(known, groupId);
    if (copies === undefined) return { stands, copy: 'none', ...nothing, totalBytes };
    if (!known.source.isReachable && !known.isCutOver) {
      const trouble = 'the source does not answer';
      return { stands, copy: 'failed', ...nothing, totalBytes, trouble };
    }
    if (
      !copies.isInStep &&
      volumesOf(known).some((locator) => known.source.unreadable.has(locator))
    ) {
      const trouble = 'the source could not be read';
      return { stands, copy: 'failed', ...nothing, totalBytes, trouble };
    }
    if (!copies.isPaused && !copies.isInStep && !this.isSlow) this.#copyAll(known, copies);
    const copy = copies.isInStep ? 'in_step' : copies.isPaused ? 'paused' : 'running';
    const copiedBytes = copies.isInStep ? totalBytes : 0;
    return { ...nothing, stands, copy, copiedBytes, totalBytes };
  }

  async compare(groupId: GroupId, { onProgress }: CompareWatch): Promise<ComparedCopies> {
    const known = this.#need(groupId);
    const copies = this.#copiesOf(known, groupId);
    if (copies?.isInStep !== true) throw new Failure(`group ${groupId}: not in step`);
    const pairs = known.volumes.map(
      ({ volumeId, from }) =>
        [volumeId, known.source.need(from.locator), copies.contents.get(volumeId)] as const,
    );
    const differing = pairs.flatMap(([volumeId, a, b]): ByteRange[] =>
      [...new Set([...a.blocks.keys(), ...(b?.blocks.keys() ?? [])])]
        .filter((block) => !sameBytes(a.blocks.get(block), b?.blocks.get(block)))
        .map((block) => ({ volumeId, offset: block * BLOCK_BYTES, lengthBytes: BLOCK_BYTES })),
    );
    const comparedBytes = known.volumes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    onProgress({ sentBytes: comparedBytes, totalBytes: comparedBytes });
    const hashes = pairs.map(([, source]) => hashContent(source).hash);
    return { comparedBytes, hash: differing.length > 0 ? undefined : hashes.join(), differing };
  }

  async findUnreadable(groupId: GroupId): Promise<readonly ByteRange[]> {
    const known = this.#known(groupId);
    return (known?.volumes ?? []).flatMap(({ volumeId, from }) =>
      (known?.source.unreadable.get(from.locator) ?? []).map((block) => ({
        volumeId,
        offset: block * BLOCK_BYTES,
        lengthBytes: BLOCK_BYTES,
      })),
    );
  }

  async cutOver(groupId: GroupId): Promise<CutOver> {
    const known = this.#need(groupId);
    const copies = this.#copiesOf(known, groupId);
    if (!known.isCutOver && copies?.isInStep !== true) {
      return { isCutOver: false, why: 'the copies are not in step' };
    }
    if (!known.isCutOver && this.cutOverTrouble !== undefined) {
      return { isCutOver: false, why: this.cutOverTrouble };
    }
    known.isCutOver = true;
    return { isCutOver: true, pauseMs: 1 };
  }

  async abandon(groupId: GroupId): Promise<void> {
    const known = this.#known(groupId);
    if (known?.isCutOver === true) throw new Failure(`group ${groupId} is cut over`);
    if (this.abandonTrouble !== undefined) throw new Failure(this.abandonTrouble);
    if (known !== undefined) known.copies = undefined;
  }

  #onHostWrite(groupId: GroupId, volumeId: VolumeId, block: number, bytes: Uint8Array): void {
    const known = this.#known(groupId);
    const volume = known?.volumes.find((v) => v.volumeId === volumeId);
    if (known === undefined || volume === undefined) return;
    if (known.isCutOver) return this.#writeKept(known, groupId, volume, block, bytes);
    if (!known.source.isReachable) throw new Error('the source takes no write');
    const { locator } = volume.from;
    known.source.volumes.set(locator, withBlock(known.source.need(locator), block, bytes));
    const copies = this.#copiesOf(known, groupId);
    const copy = copies?.contents.get(volumeId);
    if (copies?.isInStep === true && copy)
      copies.contents.set(volumeId, withBlock(copy, block, bytes));
  }

  async keepSource(groupId: GroupId): Promise<void> {
    const known = this.#need(groupId);
    if (!known.source.isReachable) throw new Failure('the source does not answer');
    const instance = this.#engine.showImport(groupId, []);
    const present = this.#engine.held(groupId)?.present;
    for (const { volumeId, from } of known.volumes) {
      const content = present?.get(volumeId);
      if (content !== undefined) known.source.volumes.set(from.locator, content);
    }
    known.kept = { instance, isInStep: true };
  }

  async inspectSource(groupId: GroupId): Promise<KeptSource | undefined> {
    const known = this.#known(groupId);
    if (known?.keepsSource !== true || !known.isCutOver) return undefined;
    const seen = { isWhole: false, leftBytes: 0, trouble: undefined };
    const { kept } = known;
    if (kept === undefined || kept.instance !== this.#engine.held(groupId)?.plane?.instance) {
      return { ...seen, state: 'none', isWhole: kept !== undefined };
    }
    if (kept.isInStep && known.source.isReachable) return { ...seen, state: 'in_step' };
    return { ...seen, state: 'failed', trouble: 'the source could not be written' };
  }

  async rollBack(groupId: GroupId): Promise<RolledBack> {
    const known = this.#need(groupId);
    const { state } = (await this.inspectSource(groupId)) ?? { state: 'none' };
    if (known.isCutOver && state !== 'in_step') {
      return { isRolledBack: false, why: `the source is not in step but ${state}` };
    }
    known.isCutOver = false;
    known.copies = undefined;
    known.kept = undefined;
    return { isRolledBack: true, pauseMs: 1, isCertain: true };
  }

  async letGo(groupId: GroupId): Promise<void> {
    const known = this.#known(groupId);
    if (known?.isCutOver === true) this.#imports.delete(groupId);
  }

  #writeKept(
    { kept, source }: MemoryImport,
    groupId: GroupId,
    { from: { locator } }: OpenedVolume,
    block: number,
    bytes: Uint8Array,
  ): void {
    if (kept === undefined || kept.instance !== this.#engine.held(groupId)?.plane?.instance) return;
    if (!source.isReachable) kept.isInStep = false;
    else source.volumes.set(locator, withBlock(source.need(locator), block, bytes));
  }

  #copyAll({ source, volumes }: MemoryImport, copies: Copies): void {
    for (const { volumeId, name, sizeBytes, from } of volumes) {
      const { blocks } = source.need(from.locator);
      copies.contents.set(volumeId, { volumeId, name, sizeBytes, blocks });
    }
    copies.isInStep = true;
  }

  #copiesOf(known: MemoryImport, groupId: GroupId): Copies | undefined {
    const { copies } = known;
    return copies?.instance === this.#engine.held(groupId)?.plane?.instance ? copies : undefined;
  }

  /** What the engine has deleted is forgotten here, too. */
  #known(groupId: GroupId): MemoryImport | undefined {
    if (this.#engine.held(groupId) === undefined) this.#imports.delete(groupId);
    return this.#imports.get(groupId);
  }

  #need(groupId: GroupId): MemoryImport {
    const known = this.#known(groupId);
    if (known === undefined) throw new Failure(`group ${groupId} imports nothing`);
    return known;
  }

  #reach({ name, endpoint }: SourceAccess): MemorySource {
    const source = endpoint.kind === 'nbd' ? this.#sources.get(endpoint.host) : undefined;
    if (source?.isReachable === true) return source;
    return refuse({ code: 'source_unreachable', source: name, detail: 'nobody answers there' });
  }
}

function volumesOf({ volumes }: MemoryImport): readonly string[] {
  return volumes.map(({ from }) => from.locator);
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return Buffer.compare(a ?? new Uint8Array(BLOCK_BYTES), b ?? new Uint8Array(BLOCK_BYTES)) === 0;
}
