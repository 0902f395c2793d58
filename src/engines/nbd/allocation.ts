import type { NbdConnection } from './connection.ts';
import type { Extent } from './protocol.ts';

const STATUS_WINDOW_BYTES = 1024 * 1024 * 1024;

/** A part of an export. */
export interface Unit {
  readonly offset: number;
  /** The last one may be short. */
  readonly lengthBytes: number;
  /** All of it is known to be zeros. */
  readonly zero: boolean;
}

export interface UnitsWanted {
  readonly unitBytes: number;
  /** A multiple of `unitBytes`; 0 unless told. */
  readonly from?: number;
  /** The export's end unless told. */
  readonly to?: number;
}

/** Walks an export unit by unit, with its allocation map. */
export async function* unitsOf(
  connection: NbdConnection,
  { unitBytes, from = 0, to = connection.info.sizeBytes }: UnitsWanted,
): AsyncGenerator<Unit> {
  const { blockStatusOffered } = connection.info;
  const extents = extentsOf(connection, from, to);
  let knownTo = blockStatusOffered ? from : to;
  let endsInData = !blockStatusOffered;
  for (let offset = from; offset < to; offset += unitBytes) {
    const end = Math.min(offset + unitBytes, to);
    let zero = !endsInData || knownTo <= offset;
    while (knownTo < end) {
      const { value: extent } = await extents.next();
      if (!extent) throw new Error(`block status ended at ${knownTo} of ${to} bytes`);
      knownTo = extent.offset + extent.lengthBytes;
      endsInData = !extent.zero;
      zero &&= extent.zero;
    }
    yield { offset, lengthBytes: end - offset, zero };
  }
}

async function* extentsOf(
  connection: NbdConnection,
  from: number,
  to: number,
): AsyncGenerator<Extent, undefined> {
  let knownTo = from;
  while (knownTo < to) {
    const asked = Math.min(STATUS_WINDOW_BYTES, to - knownTo);
    for (const extent of await connection.blockStatus(knownTo, asked)) {
      knownTo = extent.offset + extent.lengthBytes;
      yield extent;
    }
  }
  return undefined;
}
