/** Requests that take something away go ahead only after their caller has seen what. */
import type { Command } from 'commander';
import { print } from './cli.ts';
import type { Cli } from './cli.ts';
import { Interrupted, JobFailed } from './exit-codes.ts';

export interface ConfirmOptions {
  /** What the preflight printed. */
  readonly confirm?: string;
  /** Whatever the preflight says. */
  readonly yes?: boolean;
}

export function confirmOptions(command: Command): Command {
  return command
    .option('--confirm <token>', 'what --dry-run printed: you have seen what it does')
    .option('--yes', 'for scripts: go ahead with whatever --dry-run would print');
}

interface Asked {
  readonly path: string;
  readonly body?: object;
}

/** Shows the preflight of a request. @throws JobFailed where something is in the way */
export async function dryRun<Preflight extends { readonly blockedBy: readonly string[] }>(
  cli: Cli,
  { path, body }: Asked,
  show: (preflight: Preflight) => Promise<string>,
  otherwise: string,
): Promise<void> {
  const asked = { method: 'POST', path: `${path}/preflight`, ...(body && { body }) } as const;
  const preflight = await cli.api.ask<Preflight>(asked);
  const said = await show(preflight);
  print(cli, preflight, () => said);
  if (preflight.blockedBy.length > 0) throw new JobFailed(otherwise);
}

/**
 * The confirmation that a request carries: what was typed, or, with `--yes` or at a terminal, the
 * one of a preflight that was made now. At a terminal the preflight is shown and somebody is asked.
 *
 * @returns undefined where nobody can be asked: the site then says what it needs
 * @throws Interrupted when the answer is no
 */
export async function confirmation<Preflight extends { readonly confirmation?: string }>(
  { api, terminal }: Cli,
  { confirm, yes = false }: ConfirmOptions,
  { path, body }: { readonly path: string; readonly body: object },
  show: (preflight: Preflight) => Promise<string>,
): Promise<string | undefined> {
  if (confirm !== undefined) return confirm;
  if (!yes && !terminal.isInteractive) return undefined;
  const asked = { method: 'POST', path: `${path}/preflight`, body } as const;
  const preflight = await api.ask<Preflight>(asked);
  if (yes || preflight.confirmation === undefined) return preflight.confirmation;
  terminal.err(await show(preflight));
  const answer = await terminal.ask('Go ahead? [y/N]');
  if (!/^y(es)?$/i.test(answer.trim())) throw new Interrupted('nothing was done');
  return preflight.confirmation;
}
