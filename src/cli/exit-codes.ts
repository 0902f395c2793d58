import { CommanderError } from 'commander';
import { ProblemAnswer, SiteUnreachable } from './native-client.ts';

/** What a script may rely on. The help says the same. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  notFound: 4,
  notAllowed: 5,
  unreachable: 6,
  /** As shells say it of a command that Ctrl-C ended. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  it failed, or the job was undone
  2  the command line is wrong
  3  the site refused, and nothing was begun
  4  there is no such thing
  5  not signed in, or not allowed
  6  the site does not answer
130  Ctrl-C; what the site had begun goes on`;

/** What was typed cannot be meant. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Somebody does not want to wait any longer. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** A job was followed to its end and did not succeed. */
export class JobFailed extends Error {
  override readonly name = 'JobFailed';
}

export function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof CommanderError)
    return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (error instanceof UsageError) return exitCodes.usage;
  if (error instanceof Interrupted) return exitCodes.interrupted;
  if (error instanceof SiteUnreachable) return exitCodes.unreachable;
  if (error instanceof ProblemAnswer) return exitCodeOfProblem(error);
  return exitCodes.failed;
}

function exitCodeOfProblem({ status, problem, reason }: ProblemAnswer): ExitCode {
  if (problem['job'] !== undefined) return exitCodes.failed;
  // The other site is silent, or the disk is full: nothing was begun.
  if (status >= 500 && reason !== undefined) return exitCodes.refused;
  switch (status) {
    case 400:
      return exitCodes.usage;
    case 401:
    case 403:
      return exitCodes.notAllowed;
    case 404:
      return exitCodes.notFound;
    case 409:
    case 422:
    case 429:
      return exitCodes.refused;
    default:
      return exitCodes.failed;
  }
}
