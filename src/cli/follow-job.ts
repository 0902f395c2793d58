/** Long requests: asked for, followed while they run, told when they have ended. */
import type { Job, Progress } from './answers.ts';
import type { Cli } from './cli.ts';
import { print } from './cli.ts';
import { Interrupted, JobFailed } from './exit-codes.ts';
import type { NativeRequest } from './native-client.ts';
import { sayBytes, saySeconds } from './quantities.ts';

export interface FollowOptions {
  /** False: answer with the job and do not wait for its end. */
  readonly wait?: boolean;
  /** Show how it goes on. */
  readonly watch?: boolean;
}

/** How long one request waits for the job's end; the next one goes on. */
const WAIT_SECONDS = 20;
const WATCH_SECONDS = 1;
/** Above the site's own waiting. */
const TIMEOUT_MS = 60_000;

/**
 * Asks for something long and waits for its end.
 *
 * @param human what to say when it is done
 * @throws JobFailed, ProblemAnswer, SiteUnreachable
 */
export async function request<Answer extends { readonly job: Job }>(
  cli: Cli,
  asked: NativeRequest,
  following: FollowOptions,
  human: (answer: Answer) => string,
): Promise<void> {
  const answer = await requestJob<Answer>(cli, asked, following);
  const { id, kind } = answer.job;
  print(cli, answer, () =>
    following.wait === false
      ? `${kind} ${id} has begun; follow it with: baton job watch ${id}\n`
      : human(answer),
  );
}

/** The same, and says nothing of its own. @returns the answer with the job as it was last seen */
export async function requestJob<Answer extends { readonly job: Job }>(
  cli: Cli,
  asked: NativeRequest,
  { wait = true, watch = false }: FollowOptions,
): Promise<Answer> {
  const path = withWait(asked.path, wait && !watch ? WAIT_SECONDS : 0);
  const answer = await cli.api.ask<Answer>({ ...asked, path, timeoutMs: TIMEOUT_MS });
  return wait ? { ...answer, job: await follow(cli, answer.job, watch) } : answer;
}

/**
 * Waits for a job's end, and shows how it goes on.
 *
 * @throws JobFailed when it was undone
 */
export async function follow(cli: Cli, begun: Job, watch: boolean): Promise<Job> {
  const { api, terminal } = cli;
  const show = watch ? progressLine(cli) : undefined;
  let job = begun;
  show?.(job);
  while (job.state === 'running' || job.state === 'undoing') {
    const seconds = watch ? WATCH_SECONDS : WAIT_SECONDS;
    const path = `/jobs/${job.id}?wait=${seconds}`;
    const signal = terminal.interrupted;
    job = await api
      .ask<Job>({ method: 'GET', path, timeoutMs: TIMEOUT_MS, signal })
      .catch((error: unknown) => {
        if (!signal.aborted) throw error;
        throw new Interrupted(`${begun.kind} goes on; follow it with: baton job watch ${begun.id}`);
      });
    show?.(job);
  }
  if (job.state === 'done') return job;
  throw new JobFailed(`${job.kind} was undone: ${job.outcome?.message ?? 'for no known reason'}`);
}

function progressLine(cli: Cli): (job: Job) => void {
  const line = changingLine(cli);
  return (job) => line(sayProgress(job), job.endedAt !== undefined);
}

/** One line that is written again, or where nobody looks a line for each change. */
export function changingLine({ terminal, output }: Cli): (line: string, isLast: boolean) => void {
  const write = output === 'json' ? terminal.err : terminal.out;
  let last = '';
  return (line, isLast) => {
    if (line === last) return;
    if (!terminal.isInteractive) write(`${line}\n`);
    else write(`\r\u001B[K${line}${isLast ? '\n' : ''}`);
    last = line;
  };
}

export function sayProgress({ kind, state, doing, progress, trouble, attempts }: Job): string {
  const step = doing === undefined ? '' : `: ${doing}`;
  const moved = progress === undefined ? '' : ` ${sayTransfer(progress)}`;
  const again = trouble === undefined ? '' : ` (attempt ${attempts} failed: ${trouble})`;
  return `${kind} ${state}${step}${moved}${again}`;
}

export function sayTransfer({
  sentBytes,
  totalBytes,
  bytesPerSecond,
  etaSeconds,
  comparing = false,
}: Progress): string {
  const rate = bytesPerSecond === undefined ? '' : `, ${sayBytes(bytesPerSecond)}/s`;
  const eta = etaSeconds === undefined ? '' : `, ${saySeconds(etaSeconds)} left`;
  const what = comparing ? ' compared by hashes' : '';
  return `${sayBytes(sentBytes)} of ${sayBytes(totalBytes)}${what}${rate}${eta}`;
}

function withWait(path: string, seconds: number): string {
  return `${path}${path.includes('?') ? '&' : '?'}wait=${seconds}`;
}
