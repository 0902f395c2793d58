/** What a person is told when a command did not work, and what they could do next. */
import { JobFailed } from './exit-codes.ts';
import { ProblemAnswer, SiteUnreachable } from './native-client.ts';
import type { Api } from './connection.ts';
import type { Group, Named } from './answers.ts';

/** The sentence, then a hint where there is a next step; for programs all that the site said, too. */
export function sayTrouble(error: unknown, output: 'table' | 'json'): string {
  const message = error instanceof Error ? error.message : String(error);
  const hint = hintFor(error);
  if (output === 'table')
    return `baton: ${message}\n${hint === undefined ? '' : `hint: ${hint}\n`}`;
  const problem = error instanceof ProblemAnswer ? error.problem : undefined;
  return `${JSON.stringify({ error: message, hint, problem }, undefined, 2)}\n`;
}

function hintFor(error: unknown): string | undefined {
  if (error instanceof SiteUnreachable) return hintForSilence(error);
  if (!(error instanceof ProblemAnswer)) return undefined;
  const reason = error.reason as Readonly<Record<string, unknown>> | undefined;
  const job = error.problem['job'] as { readonly id?: string } | undefined;
  const about = hints[String(reason?.['code'])]?.(reason ?? {});
  return about ?? (job?.id === undefined ? undefined : `its steps: baton job show ${job.id}`);
}

type Hint = (reason: Readonly<Record<string, unknown>>) => string | undefined;

const hints: Readonly<Record<string, Hint>> = {
  unauthenticated: () => 'sign in: baton login --site URL --user NAME',
  operation_running: ({ sagaId }) => `follow it: baton job watch ${String(sagaId)}`,
  not_holder: () => 'ask the site that holds it: --site URL, or --at NAME of a pair',
  not_protected: () => 'begin with: baton group protect GROUP --to PEER --rpo 30s',
  already_protected: () => 'its settings change with: baton group set GROUP --rpo TIME',
  peer_unreachable: () => 'see how the link is: baton peer list',
  peer_in_use: () => 'end its sessions first: baton group unprotect GROUP',
  confirmation_needed: ({ token }) =>
    `see it with --dry-run; if it is what you want: --confirm ${String(token)}`,
  no_common_point: () =>
    'end the session, and begin with a full copy: baton group unprotect --force',
  in_use: ({ what, by }) => {
    const [kind, name = ''] = String(by).split(' ');
    return kind === 'import' ? `see it: baton import show ${name}` : inUseHints[String(what)];
  },
  wrong_state: ({ what, state }) =>
    what === 'replication_session' && state === 'paused'
      ? 'go on with cycles first: baton group resume GROUP'
      : undefined,
  source_unreachable: () => 'what it has, and whether it answers: baton source volumes SOURCE',
  peer_untrusted: () => 'make another token at the other site: baton peer invite',
  no_space: () => 'see the room: baton site',
};

const inUseHints: Readonly<Record<string, string>> = {
  volume: 'unmap or unprotect it first',
  host: 'unmap or unprotect it first',
  import_session: 'unmap its hosts first: baton volume unmap VOLUME HOST, or baton group unmap',
};

function hintForSilence({ message }: SiteUnreachable): string {
  if (/certificate|self.signed|issuer/i.test(message)) {
    return "the site's certificate is not from an authority that is trusted here: --ca FILE";
  }
  return 'is the site running, and is the URL right? --site URL, or --pair DIR --at NAME';
}

/** An error of the site's in words that people know; what is not its own stays as it is. */
export async function withNames(api: Api, error: unknown): Promise<unknown> {
  if (error instanceof ProblemAnswer || error instanceof JobFailed) {
    error.message = await sayNames(api, error.message);
  }
  return error;
}

/** The ids of groups and sites in a sentence become names, as far as the site tells them. */
export async function sayNames(api: Api, sentence: string): Promise<string> {
  let said = sentence;
  for (const [found, noun = '', id = ''] of sentence.matchAll(/\b(group|site) ([0-9a-f-]{36})/g)) {
    const name = await nameOf(api, noun, id).catch(() => undefined);
    if (name !== undefined) said = said.replace(found, `${noun} ${name}`);
  }
  return said;
}

async function nameOf(api: Api, noun: string, id: string): Promise<string | undefined> {
  if (noun === 'group') {
    return (await api.ask<Group>({ method: 'GET', path: `/groups/${id}` })).name;
  }
  const [site, peers] = await Promise.all([
    api.ask<Named>({ method: 'GET', path: '/site' }),
    api.list<Named>('/peers'),
  ]);
  return [site, ...peers].find((known) => known.id === id)?.name;
}
