import { pino } from 'pino';
import type { Log } from '../ports/log.ts';

/** Structured lines to standard error; `error` members keep their causes. */
export function processLog(name: string, level = process.env['BATON_LOG'] ?? 'info'): Log {
  return pino(
    {
      name,
      level,
      errorKey: 'error',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ fd: 2, sync: true }),
  );
}
