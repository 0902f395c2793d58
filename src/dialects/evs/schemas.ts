/** Words that the resources share on the wire. */
import { Type } from 'typebox';
import type { Instant } from '../../domain/ids.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A call of the replication extension: what is refused for its state is a 409 there. */
    readonly isExtension?: boolean;
  }
}

/** UTC without a zone, to the microsecond. */
export function stamp(instant: Instant): string {
  return new Date(instant).toISOString().replace(/(\.\d{3})Z$/, '$1000');
}

/** Names and descriptions. */
export const Words = Type.String({ maxLength: 255 });

const GIB = 1024 ** 3;

/** Sizes are whole gibibytes here; what is no multiple of one is shown as the next. */
export function gibibytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / GIB);
}

export function bytes(gibibytes: number): number {
  return gibibytes * GIB;
}
