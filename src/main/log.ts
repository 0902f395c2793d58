import { pino } from 'pino';
import type { Log } from '../ports/log.ts';

/** Of lines that cannot be written, for when they can; the newest beyond them are dropped. */
const KEPT_BYTES = 1024 * 1024;

/**
 * Structured lines to standard error; `error` members keep their causes. A log on a full disk holds
 * nothing up: its lines are written when there is room.
 */
export function processLog(name: string, level = process.env['BATON_LOG'] ?? 'info'): Log {
  const destination = pino.destination({ fd: 2, sync: true, maxLength: KEPT_BYTES });
  // There is nowhere to tell it; what met the full disk first is refused for that, in words.
  destination.on('error', () => undefined);
  return pino(
    {
      name,
      level,
      errorKey: 'error',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}
