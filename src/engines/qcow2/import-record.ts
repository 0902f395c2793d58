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
}

export interface ImportingVolume extends OpenedVolume {
  /** Names the volume's nodes in the daemon. */
  readonly key: number;
  /** Of the layer file that our copy is. */
  readonly number: number;
}
