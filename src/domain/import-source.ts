/** Systems that volumes are brought in from, and how a volume is named at each. */
import type { Instant, SourceId } from './ids.ts';
import { refuse } from './refusal.ts';
import type { Remarks } from './remarks.ts';

export const sourceKinds = ['nbd', 'iscsi', 'file', 'http'] as const;
export type SourceKind = (typeof sourceKinds)[number];

/** Where servers listen that do not say otherwise (IANA). */
export const USUAL_PORTS = { nbd: 10_809, iscsi: 3260 } as const;

export const imageFormats = ['raw', 'qcow2', 'vmdk', 'vhdx', 'vdi'] as const;
export type ImageFormat = (typeof imageFormats)[number];

export interface ImportSource {
  readonly id: SourceId;
  readonly name: string;
  readonly endpoint: SourceEndpoint;
  /** A `SourceSecret` as JSON, encrypted with the site's key; absent: it needs none. */
  readonly sealedSecret: string | undefined;
  /** What the last check found. */
  readonly reachable: boolean;
  readonly checkedAt: Instant;
  /** Why it was not reachable. */
  readonly trouble: string | undefined;
  readonly createdAt: Instant;
  readonly remarks?: Remarks | undefined;
}

/** Where a source is, without anything secret. */
export type SourceEndpoint =
  | {
      readonly kind: 'nbd';
      readonly host: string;
      readonly port: number;
      /** Absent: the connection is plain. */
      readonly tls?: SourceTls;
    }
  | {
      readonly kind: 'iscsi';
      readonly host: string;
      readonly port: number;
      /** Ours, as the target knows it; absent: one made from the site's id. */
      readonly initiatorName?: string;
      readonly chapUser?: string;
    }
  /** Image files and block devices of this machine, below one directory. */
  | { readonly kind: 'file'; readonly directory: string }
  /** Images on a web server, read only. */
  | { readonly kind: 'http'; readonly baseUrl: string; readonly user?: string };

export interface SourceTls {
  /** PEM of who vouches for the source's certificate. */
  readonly authority: string;
  /** The name that its certificate must carry; absent: its host. */
  readonly serverName?: string;
  /** Our certificate for it, PEM; its key is among the secrets. */
  readonly certificate?: string;
}

export interface SourceSecret {
  /** CHAP or HTTP password. */
  readonly password?: string;
  /** PEM of the key that belongs to `SourceTls.certificate`. */
  readonly privateKey?: string;
}

/**
 * Which volume of a source. The locator is, by the source's kind: the export's name (nbd), the
 * target's name and LUN as `iqn.2001-04.com.example:disk/1` (iscsi), a path below the source's
 * directory (file), or one below its URL (http).
 */
export interface SourceVolume {
  readonly locator: string;
  /** Of an image; nbd and iscsi are raw. */
  readonly format: ImageFormat;
  /** Never written: it can be imported, but no host can go on with it meanwhile. */
  readonly readOnly: boolean;
}

const MAX_LOCATOR_LENGTH = 1024;

/** Formats that QEMU writes as safely as it reads them. */
const writableFormats: ReadonlySet<ImageFormat> = new Set(['raw', 'qcow2']);

export interface WantedSourceVolume {
  readonly locator: string;
  readonly format?: ImageFormat | undefined;
  readonly readOnly?: boolean | undefined;
}

/** @throws Refusal `invalid`, `unsupported` when it would have to be written and cannot be */
export function checkSourceVolume(
  kind: SourceKind,
  { locator, format = 'raw', readOnly }: WantedSourceVolume,
): SourceVolume {
  checkLocator(kind, locator);
  const isImage = kind === 'file' || kind === 'http';
  if (!isImage && format !== 'raw') {
    const wanted = `raw: a volume of kind ${kind} has no image format`;
    refuse({ code: 'invalid', field: 'format', wanted, seen: format });
  }
  const mustBeReadOnly = kind === 'http' || !writableFormats.has(format);
  if (mustBeReadOnly && readOnly === false) {
    const what = `importing ${locator} while a host writes it`;
    const why = kind === 'http' ? 'a web server takes no writes' : `${format} images are only read`;
    refuse({ code: 'unsupported', what, why });
  }
  return { locator, format, readOnly: readOnly ?? mustBeReadOnly };
}

/** @example parseLun('iqn.2001-04.com.example:disk/1') is { target: 'iqn.…:disk', lun: 1 } */
export function parseLun(
  locator: string,
): { readonly target: string; readonly lun: number } | undefined {
  const parts = /^(?<target>(?:iqn|eui|naa)\.[A-Za-z0-9.:-]{1,219})\/(?<lun>\d{1,3})$/.exec(
    locator,
  )?.groups;
  const { target, lun } = parts ?? {};
  return target === undefined ? undefined : { target, lun: Number(lun) };
}

function checkLocator(kind: SourceKind, locator: string): void {
  const wanted = wantedLocator(kind, locator);
  if (wanted === undefined) return;
  const seen = JSON.stringify(locator.slice(0, 80));
  refuse({ code: 'invalid', field: 'locator', wanted, seen });
}

/** What would be right; undefined when it is. */
function wantedLocator(kind: SourceKind, locator: string): string | undefined {
  if (locator.length > MAX_LOCATOR_LENGTH || /\p{Cc}/u.test(locator)) {
    return `at most ${MAX_LOCATOR_LENGTH} characters, none of them a control character`;
  }
  switch (kind) {
    case 'nbd':
      return undefined;
    case 'iscsi':
      return parseLun(locator)
        ? undefined
        : 'a target and a LUN, as iqn.2001-04.com.example:disk/1';
    case 'file':
    case 'http': {
      const parts = locator.split('/');
      const isInside = !locator.startsWith('/') && !parts.includes('..') && parts.at(-1) !== '';
      return isInside ? undefined : 'a path below the source, without a leading / and without ..';
    }
  }
}
