/** An import in a few words. */
import type { ByteRange, Import } from './answers.ts';
import { sayTransfer } from './follow-job.ts';
import { sayBytes, sayInstant, saySeconds } from './quantities.ts';

/** `copying, 12 MiB of 64 MiB, 16 MiB/s, 4 s left` */
export function sayImportProgress(session: Import): string {
  const { state, comparing, progress, trouble } = session;
  const words = [state.replaceAll('_', ' ')];
  if (comparing !== undefined) words.push(`comparing ${sayTransfer(comparing)}`);
  else if (progress !== undefined && isCopying(session)) words.push(sayCopying(progress));
  if (trouble !== undefined) words.push(trouble);
  return words.join(', ');
}

export function importFacts(
  session: Import,
): readonly (readonly [name: string, value: string | undefined])[] {
  const { comparison, bytesPerSecond, cutOverPauseMs, scheduledAt, endedAt, hosts } = session;
  return [
    ['name', session.name],
    ['id', session.id],
    ['from', `source ${session.source.name}`],
    ...session.volumes.map((volume) => ['volume', sayVolume(volume)] as const),
    ['group', session.volumes.length > 1 ? session.group?.name : undefined],
    ['state', `${session.state.replaceAll('_', ' ')}, since ${sayInstant(session.stateSince)}`],
    ['because', session.trouble],
    ['left', session.left],
    ['copied', sayCopied(session)],
    ['compared', comparison && sayComparison(session, comparison)],
    ['unreadable', session.unreadable && sayRanges(session, session.unreadable)],
    ['restarts', session.restarts === 0 ? undefined : sayRestarts(session)],
    ['hosts waited', cutOverPauseMs === undefined ? undefined : `${Math.round(cutOverPauseMs)} ms`],
    ['way back', sayWayBack(session)],
    ['cuts over', session.automaticCutover ? 'by itself' : 'when told'],
    ['hosts', hosts.join(', ') || 'none may attach it'],
    ['limit', bytesPerSecond === undefined ? undefined : `${sayBytes(bytesPerSecond)}/s`],
    ['starts', scheduledAt === undefined ? undefined : sayInstant(scheduledAt)],
    ['created', sayInstant(session.createdAt)],
    ['ended', endedAt === undefined ? undefined : sayInstant(endedAt)],
    ['next', nextStep(session)],
  ];
}

/** `until 2026-12-02 22:00:00Z: the source is catching up, 12 MiB left` */
function sayWayBack({ state, rollback, rollbackForSeconds }: Import): string | undefined {
  if (rollback !== undefined) {
    const { until, source, leftBytes, why } = rollback;
    const left = leftBytes > 0 ? `, ${sayBytes(leftBytes)} left` : '';
    const because = why === undefined ? '' : `: ${why}`;
    const how = `${source.replaceAll('_', ' ')}${left}${because}`;
    return `until ${sayInstant(until)}; the source is ${how}`;
  }
  const isAhead = rollbackForSeconds !== undefined && !ended.includes(state);
  return isAhead ? `for ${saySeconds(rollbackForSeconds)} after the cut-over` : undefined;
}

const ended = ['completed', 'completed_with_errors', 'rolled_back', 'cancelled', 'failed'];

function sayVolume({ name, locator, sizeBytes, format, readOnly }: Import['volumes'][number]) {
  const of = locator === '' ? 'the default export' : locator;
  const how = readOnly ? ', only read' : '';
  return `${name}, ${sayBytes(sizeBytes)}, from ${of} (${format}${how})`;
}

function isCopying({ state, progress }: Import): boolean {
  return ['copying', 'paused'].includes(state) && progress?.totalBytes !== 0;
}

function sayCopying({ copiedBytes, held, ...progress }: NonNullable<Import['progress']>): string {
  const copied = sayTransfer({ ...progress, sentBytes: copiedBytes });
  return held === undefined ? copied : `${copied}, ${held}`;
}

function sayCopied(session: Import): string | undefined {
  const { comparing, progress } = session;
  if (progress === undefined) return undefined;
  if (comparing !== undefined) return `all of it; comparing ${sayTransfer(comparing)}`;
  if (isCopying(session)) return sayCopying(progress);
  const { averageBytesPerSecond: rate } = progress;
  const average = rate === undefined ? '' : `, ${sayBytes(rate)}/s on average`;
  return `${sayBytes(progress.copiedBytes)} of ${sayBytes(progress.totalBytes)}${average}`;
}

function sayComparison(
  session: Import,
  { comparedAt, comparedBytes, hash, differing }: NonNullable<Import['comparison']>,
): string {
  const when = `${sayBytes(comparedBytes)}, ${sayInstant(comparedAt)}`;
  if (hash !== undefined) return `equal, ${when}, sha256 ${hash}`;
  return `they DIFFER, ${when}: ${sayRanges(session, differing)}`;
}

/** `data 4096+8192`: the volume, from which byte, how many. */
function sayRanges({ volumes }: Import, ranges: readonly ByteRange[]): string {
  const words = ranges.map(({ volumeId, offset, lengthBytes }) => {
    const name = volumes.find(({ id }) => id === volumeId)?.name ?? volumeId;
    return `${name} ${offset}+${lengthBytes}`;
  });
  return words.join(', ');
}

function sayRestarts({ restarts, restartedBecause }: Import): string {
  const why = restartedBecause === undefined ? '' : `: ${restartedBecause}`;
  return `the copy began again ${restarts === 1 ? 'once' : `${restarts} times`}${why}`;
}

/** What somebody could do now; undefined where there is nothing to do. */
export function nextStep({ name, state, automaticCutover, hosts, volumes, rollback }: Import) {
  const [volume] = volumes;
  const isReadOnly = volume?.readOnly === true;
  switch (state) {
    case 'mirror_enabled':
      return `let its hosts in: baton import enable ${name}`;
    case 'ready_to_start_copy':
      return `once they write here only: baton import start-copy ${name}`;
    case 'copying':
      if (isReadOnly) return undefined;
      return hosts.length === 0
        ? 'no host writes it meanwhile: none may attach it'
        : `its hosts write it here and nowhere else: baton volume show ${volume?.name}`;
    case 'paused':
      return `go on: baton import resume ${name}`;
    case 'ready':
      return automaticCutover ? undefined : `make it the volume: baton import cutover ${name}`;
    case 'cancel_required':
    case 'cancel_failed':
      return `baton import cancel ${name}; with --force where the source does not answer`;
    case 'cleanup_required':
      return `take away what is left: baton import cleanup ${name}`;
    case 'completed':
      return rollback === undefined
        ? undefined
        : `back to the source: baton import rollback ${name}; or let it go: baton import finish ${name}`;
    case 'cancelled':
    case 'rolled_back':
    case 'failed':
      return `to make it again: baton import delete ${name}`;
    default:
      return undefined;
  }
}
