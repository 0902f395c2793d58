/** What is on a volume, read with the tools that administrators trust. Nothing is written. */
import type { DrillCheck, Verdict } from '../../domain/drill.ts';
import { runTool } from './run-tool.ts';

const SECTOR_BYTES = 512;

export interface Partition {
  readonly number: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export interface Found {
  /** `ext4`; absent where nothing was recognised. */
  readonly fileSystem: string | undefined;
  /** `gpt`, `dos` */
  readonly table: string | undefined;
  /** Why it could not be looked at. */
  readonly why: string | undefined;
}

/** What the beginning of a file says that it is. */
export async function identify(file: string, signal: AbortSignal): Promise<Found> {
  const { code, said, why } = await runTool(['blkid', '-p', '-o', 'export', file], signal);
  const nothing = { fileSystem: undefined, table: undefined };
  if (code === undefined) return { ...nothing, why };
  // 2: nothing that it knows; 8: more than one thing.
  if (code !== 0) return { ...nothing, why: code === 2 ? undefined : `blkid: ${said}` };
  const told = new Map(said.split('\n').map((line) => line.split('=', 2) as [string, string]));
  return { fileSystem: told.get('TYPE'), table: told.get('PTTYPE'), why: undefined };
}

export async function partitionsOf(
  file: string,
  signal: AbortSignal,
): Promise<{ readonly partitions: readonly Partition[]; readonly why: string | undefined }> {
  const asked = ['--raw', '--noheadings', '--output', 'NR,START,SECTORS'];
  const { code, said, why } = await runTool(['partx', ...asked, file], signal);
  if (code !== 0) return { partitions: [], why: why ?? `partx: ${said}` };
  const lines = said.split('\n').filter((line) => /^\d+ \d+ \d+$/.test(line));
  const partitions = lines.map((line) => {
    const [number = 0, start = 0, sectors = 0] = line.split(' ').map(Number);
    return { number, offsetBytes: start * SECTOR_BYTES, sizeBytes: sectors * SECTOR_BYTES };
  });
  return { partitions, why: undefined };
}

/** Tells from a tool's end what it found. */
type Judge = (code: number, said: string) => Verdict | 'not_replayed';

const zeroPasses: Judge = (code) => (code === 0 ? 'passed' : 'failed');

/*
 * A journal that waits to be replayed is what every host leaves that was cut off. What a tool finds
 * beside that may come of it alone: no verdict.
 */

const judgeExt: Judge = (code, said) => {
  if (code === 0) return 'passed';
  if (/skipping journal recovery/i.test(said)) return 'not_replayed';
  // 4: errors are left; 8: it cannot even be read as what it says it is.
  return (code & (4 | 8)) === 0 ? 'not_possible' : 'failed';
};

/** Without its log it counts what that has not put in place yet, and ends with 1 as for damage. */
const judgeXfs: Judge = (code, said) => {
  if (code === 0) return 'passed';
  // 2: the log has to be replayed first.
  const isLogIgnored = /metadata changes in a log which is being\s+ignored/i.test(said);
  return code === 2 || isLogIgnored ? 'not_replayed' : 'failed';
};

const NOT_REPLAYED = 'its journal has not been replayed, so what was found may come of that alone';

interface Checker {
  readonly command: (file: string) => readonly [string, ...string[]];
  readonly judge: Judge;
}

const ext: Checker = { command: (file) => ['e2fsck', '-f', '-n', file], judge: judgeExt };

const checkers: Readonly<Record<string, Checker>> = {
  ext2: ext,
  ext3: ext,
  ext4: ext,
  xfs: { command: (file) => ['xfs_repair', '-n', '-f', file], judge: judgeXfs },
  btrfs: { command: (file) => ['btrfs', 'check', '--readonly', file], judge: zeroPasses },
  vfat: { command: (file) => ['fsck.fat', '-n', file], judge: zeroPasses },
};

/** Checks a file system without a write. @param where `in partition 1`, or nothing */
export async function checkFileSystem(
  file: string,
  fileSystem: string,
  where: string,
  signal: AbortSignal,
): Promise<DrillCheck> {
  const beganMs = performance.now();
  const what = `file system ${fileSystem}${where}`;
  const checker = checkers[fileSystem];
  if (checker === undefined) return impossible(what, `nothing here checks ${fileSystem}`, beganMs);
  const { code, said, why } = await runTool(checker.command(file), signal);
  if (code === undefined) return impossible(what, why ?? 'the tool did not end', beganMs);
  const judged = checker.judge(code, said);
  const isReplayed = judged !== 'not_replayed';
  const [program] = checker.command(file);
  const reason = isReplayed ? '' : `; ${NOT_REPLAYED}`;
  return {
    what,
    verdict: isReplayed ? judged : 'not_possible',
    detail: `${program} ended with ${code}: ${lastLine(said)}${reason}`,
    durationMs: since(beganMs),
  };
}

export function impossible(what: string, detail: string, beganMs: number): DrillCheck {
  return { what, verdict: 'not_possible', detail, durationMs: since(beganMs) };
}

export function since(beganMs: number): number {
  return Math.round(performance.now() - beganMs);
}

function lastLine(said: string): string {
  return said.split('\n').at(-1)?.slice(0, 300) ?? '';
}
