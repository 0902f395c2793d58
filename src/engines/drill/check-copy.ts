import type { DrillCheck } from '../../domain/drill.ts';
import { Failure } from '../../domain/refusal.ts';
import type { CheckedCopy, CheckedVolumes } from '../../ports/drill-tools.ts';
import { checkFileSystem, identify, impossible, partitionsOf, since } from './file-systems.ts';
import type { Partition } from './file-systems.ts';
import type { OpenedCopy } from './opened-copy.ts';
import { runTool } from './run-tool.ts';

/** Of a site's own check, in the report: its end. */
const MAX_SAID_CHARACTERS = 2_000;

/** The partition table, and every file system: of the volume itself, or of each partition. */
export async function checkVolumes(
  copy: CheckedCopy,
  opened: OpenedCopy,
  signal: AbortSignal,
): Promise<CheckedVolumes['volumes']> {
  const all = [];
  for (const { volumeId, name } of copy.volumes) {
    all.push({ volumeId, checks: await checkVolume(opened, name, signal) });
  }
  return all;
}

function checkVolume(
  opened: OpenedCopy,
  volume: string,
  signal: AbortSignal,
): Promise<readonly DrillCheck[]> {
  const beganMs = performance.now();
  const table = 'partition table';
  return orImpossible(table, signal, () =>
    opened.asFile({ volume }, async (file) => {
      const { fileSystem, table: kind, why } = await identify(file, signal);
      if (why !== undefined) return [impossible(table, why, beganMs)];
      if (kind === undefined) {
        const none = passed(table, 'the volume has none', beganMs);
        if (fileSystem !== undefined)
          return [none, await checkFileSystem(file, fileSystem, '', signal)];
        const what = 'file system';
        return [none, impossible(what, 'no file system is recognised on the volume', beganMs)];
      }
      const { partitions, why: unread } = await partitionsOf(file, signal);
      if (unread !== undefined) return [impossible(table, unread, beganMs)];
      const read = passed(table, `${kind}, ${partitions.length} partition(s)`, beganMs);
      const checks: DrillCheck[] = [read];
      for (const part of partitions)
        checks.push(...(await checkPart(opened, volume, part, signal)));
      return checks;
    }),
  );
}

function checkPart(
  opened: OpenedCopy,
  volume: string,
  part: Partition,
  signal: AbortSignal,
): Promise<readonly DrillCheck[]> {
  const where = ` in partition ${part.number}`;
  const what = `file system${where}`;
  const beganMs = performance.now();
  return orImpossible(what, signal, () =>
    opened.asFile({ volume, part }, async (file) => {
      const { fileSystem, why } = await identify(file, signal);
      if (fileSystem !== undefined) return [await checkFileSystem(file, fileSystem, where, signal)];
      return [impossible(what, why ?? 'none is recognised', beganMs)];
    }),
  );
}

/** A failure is said in the report: that it cannot be opened here says nothing of the data. */
async function orImpossible(
  what: string,
  signal: AbortSignal,
  check: () => Promise<readonly DrillCheck[]>,
): Promise<readonly DrillCheck[]> {
  const beganMs = performance.now();
  try {
    return await check();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof Failure)) throw error;
    return [impossible(what, error.message, beganMs)];
  }
}

/**
 * The site's own check, with the copy's volumes in its environment: `BATON_GROUP`, `BATON_POINT`, and
 * for each volume from 1 `BATON_VOLUME_<n>` and `BATON_URI_<n>`, an NBD URI that it may read and write.
 */
export async function runCommand(
  command: string | undefined,
  { groupName, pointId, volumes }: CheckedCopy,
  { uriOf }: OpenedCopy,
  signal: AbortSignal,
): Promise<DrillCheck> {
  const what = 'the check command of the site';
  const beganMs = performance.now();
  if (command === undefined) return impossible(what, 'the site has none', beganMs);
  const env = Object.fromEntries(
    volumes.flatMap(({ name }, index) => [
      [`BATON_VOLUME_${index + 1}`, name],
      [`BATON_URI_${index + 1}`, uriOf(name)],
    ]),
  );
  const about = { BATON_GROUP: groupName, BATON_POINT: pointId };
  const { code, said, why } = await runTool([command], signal, { ...env, ...about });
  if (code === undefined) return impossible(what, why ?? 'it did not end', beganMs);
  const verdict = code === 0 ? 'passed' : 'failed';
  return {
    what,
    verdict,
    detail: `${command} ended with ${code}: ${said.slice(-MAX_SAID_CHARACTERS)}`,
    durationMs: since(beganMs),
  };
}

function passed(what: string, detail: string, beganMs: number): DrillCheck {
  return { what, verdict: 'passed', detail, durationMs: since(beganMs) };
}
