/** Sizes and times as people write and read them; programs get plain bytes and ISO 8601. */
import { UsageError } from './exit-codes.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
};

/**
 * `10G`, `10GiB`, `1.5T`, `512`: binary units, as volumes are made of them.
 *
 * @throws UsageError
 */
export function parseSize(text: string): number {
  const parts = /^(?<number>\d+(\.\d+)?) ?(?<unit>[kmgt]?)(i?b)?$/i.exec(text.trim())?.groups;
  const factor = FACTORS[parts?.['unit']?.toLowerCase() ?? 'none'];
  const bytes = Number(parts?.['number']) * (factor ?? Number.NaN);
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(`wanted a size such as 10G or 512M, got "${text}"`);
}

/** `10 GiB`, `1.5 TiB`, `512 B` */
export function sayBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = Number.isInteger(value) || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 };

/**
 * `30s`, `5m`, `1h`, `90`: in seconds.
 *
 * @throws UsageError
 */
export function parseSeconds(text: string): number {
  const parts = /^(?<number>\d+) ?(?<unit>s|m|min|h|d)?$/i.exec(text.trim())?.groups;
  const factor = SECONDS[parts?.['unit']?.toLowerCase() ?? 's'];
  const seconds = Number(parts?.['number']) * (factor ?? Number.NaN);
  if (Number.isSafeInteger(seconds)) return seconds;
  throw new UsageError(`wanted a time such as 30s, 5m or 1h, got "${text}"`);
}

/** `4 s`, `2 min`, `1 h 5 min` */
export function saySeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** `2026-11-21 09:30:00Z` */
export function sayInstant(iso: string): string {
  return `${iso.slice(0, 19).replace('T', ' ')}Z`;
}

/**
 * `2026-11-21T09:30:00Z`, or what else ISO 8601 allows with a date, a time and an offset.
 *
 * @returns the same in UTC
 * @throws UsageError
 */
export function parseInstant(text: string): string {
  const at = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(Z|[+-]\d\d:?\d\d)$/i.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (!Number.isNaN(at)) return new Date(at).toISOString();
  throw new UsageError(`wanted an instant such as 2026-12-01T22:00:00Z, got "${text}"`);
}
