import type { OpenedVolume, SourceAccess } from '../../ports/importer.ts';

/**
 * Volumes on their way in. Hosts write their sources, through this group's daemon, until the
 * cut-over makes each of them an ordinary volume of the record.
 */
export interface Importing {
  readonly source: SourceAccess;
  readonly volumes: readonly ImportingVolume[];
  /** The daemon that fills our copies; undefined: none does. With another daemon they are lost. */
  readonly copiedBy: string | undefined;
  /**
   * The daemon that was told to switch volumes over. While it lives it knows which it has switched;
   * once it is dead, nobody knows, and hosts' last writes may be in our copies alone.
   */
  readonly switchedBy: string | undefined;
  /** What hosts write from the cut-over on is a layer of its own, and goes to the source, too. */
  readonly keepsSource?: boolean;
}

export interface ImportingVolume extends OpenedVolume {
  /** Names the volume's nodes in the daemon. */
  readonly key: number;
  /** Of the layer file that our copy is. */
  readonly number: number;
  /** Of the layer above it that hosts write from the cut-over on, where the source is kept. */
  readonly over?: number | undefined;
}

/** Volumes that are ours, and whose source has what hosts write. */
export interface Kept {
  readonly source: SourceAccess;
  readonly volumes: readonly KeptVolume[];
  /**
   * The daemon that was told to take hosts back. Once it is dead the source counts, unless it was
   * parted from: it was in step until that instant, and has all that was written after it.
   */
  readonly rolledBackBy: string | undefined;
  /** The source fell silent meanwhile and was cut off, so hosts may have gone on here: ours counts. */
  readonly isParted?: boolean;
}

export interface KeptVolume extends OpenedVolume {
  readonly key: number;
  /**
   * The daemon that switched it over. With another one a host's last writes may be at the source
   * alone: all there is goes there then.
   */
  readonly switchedBy: string;
}
