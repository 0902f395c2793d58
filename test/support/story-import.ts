/** Imports of a story's site, in words. */
import { open } from 'node:fs/promises';
import type { BlockReader } from '../../src/main/verify-writes.ts';
import { waitUntil } from '../../src/main/wait-until.ts';
import type { ImportAnswer, JobAnswer } from './native-answers.ts';
import type { StorySite } from './story-site.ts';

const STATE_LIMIT_MS = 60_000;
const OPEN_LIMIT_MS = 20_000;

export async function addSource(
  site: StorySite,
  name: string,
  endpoint: object,
  secret?: object,
): Promise<void> {
  const body = { name, endpoint, ...(secret && { secret }) };
  await site.ask({ method: 'POST', path: '/sources', body });
}

export function createImport(site: StorySite, body: object): Promise<ImportAnswer> {
  return site.ask<ImportAnswer>({ method: 'POST', path: '/imports', body });
}

export function showImport(site: StorySite, name: string): Promise<ImportAnswer> {
  return site.get<ImportAnswer>(`/imports/${name}`);
}

/** Once hosts may attach the volume here. */
export async function volumeOpen(site: StorySite, volume: string): Promise<void> {
  await waitUntil(`${volume} is open to hosts`, OPEN_LIMIT_MS, async () =>
    (await site.attachment(volume)).serving ? true : undefined,
  );
}

/** The import once it is in that state. */
export function importOnce(
  site: StorySite,
  name: string,
  state: string,
  limitMs = STATE_LIMIT_MS,
): Promise<ImportAnswer> {
  let last: ImportAnswer | undefined;
  return waitUntil(`import ${name} is ${state}`, limitMs, async () => {
    last = await showImport(site, name).catch(() => undefined);
    return last?.state === state ? last : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; last seen: ${JSON.stringify(last)}`, { cause: error });
  });
}

/** The import once its source, which it keeps current after the cut-over, is so. */
export function sourceOnce(
  site: StorySite,
  name: string,
  source: 'catching_up' | 'in_step' | 'behind',
): Promise<ImportAnswer> {
  let last: ImportAnswer | undefined;
  return waitUntil(`the source of import ${name} is ${source}`, STATE_LIMIT_MS, async () => {
    last = await showImport(site, name).catch(() => undefined);
    return last?.rollback?.source === source ? last : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; last seen: ${JSON.stringify(last)}`, { cause: error });
  });
}

/** A verb that ends the import, to its job's end. */
export async function endImport(
  site: StorySite,
  name: string,
  verb: 'cutover' | 'rollback' | 'cancel' | 'cleanup',
  body?: object,
): Promise<ImportAnswer> {
  const asked = { method: 'POST', path: `/imports/${name}/${verb}` } as const;
  const { job } = await site.ask<{ job: JobAnswer }>({ ...asked, ...(body && { body }) });
  await site.endOf(job.id);
  return showImport(site, name);
}

/** Reads a raw image where its source keeps it, past the source's server. */
export async function readingFile<T>(
  path: string,
  look: (reader: BlockReader) => Promise<T>,
): Promise<T> {
  const file = await open(path, 'r');
  try {
    return await look({
      read: async (offset, lengthBytes) => {
        const bytes = Buffer.alloc(lengthBytes);
        await file.read(bytes, 0, lengthBytes, offset);
        return bytes;
      },
    });
  } finally {
    await file.close();
  }
}
