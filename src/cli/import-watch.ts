import { setTimeout as passes } from 'node:timers/promises';
import type { Import } from './answers.ts';
import { print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { Interrupted, JobFailed } from './exit-codes.ts';
import { changingLine } from './follow-job.ts';
import { nextStep, sayImportProgress } from './import-words.ts';

const LOOK_AGAIN_MS = 250;
const moving = [
  'scheduled',
  'queued',
  'in_progress',
  'copying',
  'cutting_over',
  'rolling_back',
  'cancelling',
];
const failed = ['failed', 'cancel_required', 'cancel_failed', 'cleanup_required'];

export function showImport({ api }: Cli, reference: string): Promise<Import> {
  return api.ask<Import>({ method: 'GET', path: `/imports/${segment(reference)}` });
}

/**
 * Shows how an import goes on, until it has ended or waits for somebody.
 *
 * @throws JobFailed when it is in trouble
 */
export async function watchImport(cli: Cli, begun: Import): Promise<void> {
  const line = changingLine(cli);
  let session = begun;
  for (;;) {
    const isOver = !goesOn(session);
    line(`import ${session.name} ${sayImportProgress(session)}`, isOver);
    if (isOver) break;
    await rest(cli, session);
    session = await showImport(cli, begun.id);
  }
  if (failed.includes(session.state)) throw importFailed(session);
  print(cli, session, () => sayNext(session));
}

export function importFailed(session: Import): JobFailed {
  return new JobFailed(`import ${session.name} is ${sayImportProgress(session)}`);
}

export function sayNext(session: Import): string {
  const step = nextStep(session);
  return step === undefined ? '' : `next: ${step}\n`;
}

function goesOn({ state, automaticCutover }: Import): boolean {
  return moving.includes(state) || (state === 'ready' && automaticCutover);
}

async function rest({ terminal: { interrupted } }: Cli, { name }: Import): Promise<void> {
  await passes(LOOK_AGAIN_MS, undefined, { signal: interrupted }).catch(() => undefined);
  if (!interrupted.aborted) return;
  throw new Interrupted(`import ${name} goes on; follow it with: baton import watch ${name}`);
}
