/** Shell completion, generated from the commands as they are. */
import type { Command, Option } from 'commander';
import { UsageError } from './exit-codes.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** @throws UsageError */
export function completionScript(program: Command, shell: string): string {
  switch (shell as Shell) {
    case 'bash':
      return bash(program);
    case 'zsh':
      return zsh(program);
    case 'fish':
      return fish(program);
  }
  throw new UsageError(`wanted one of ${shells.join(', ')}, got "${shell}"`);
}

interface Level {
  /** The words before: `group handover`. */
  readonly path: string;
  readonly commands: readonly Command[];
  readonly options: readonly Option[];
}

function levels(command: Command, path = ''): readonly Level[] {
  const commands = command.commands.filter((c) => c.name() !== 'help');
  const own: Level = { path, commands, options: command.options };
  const below = commands.flatMap((c) => levels(c, path === '' ? c.name() : `${path} ${c.name()}`));
  return [own, ...below];
}

function flagsOf(options: readonly Option[]): readonly string[] {
  return options.flatMap(({ long }) => (long ? [long] : []));
}

/** Options whose next word is theirs and no command. */
function valued(all: readonly Level[]): readonly string[] {
  const options = all.flatMap((level) => level.options).filter((o) => o.required || o.optional);
  return [
    ...new Set(
      options
        .flatMap(({ short, long }) => [short, long])
        .filter((f) => f !== undefined && f !== null),
    ),
  ];
}

/** The part that bash and zsh have in common: which words may follow. */
function cases(all: readonly Level[], program: Command): string {
  const everywhere = [...flagsOf(program.options), '--help'];
  return all
    .map(({ path, commands, options }) => {
      const words = [...commands.map((c) => c.name()), ...flagsOf(options), ...everywhere];
      return `    '${path}') list='${[...new Set(words)].join(' ')}' ;;`;
    })
    .join('\n');
}

function bash(program: Command): string {
  const all = levels(program);
  const name = program.name();
  return `# ${name} completion for bash: eval "$(${name} completion bash)"
_${name}() {
  local at='' list='' skip=0 word known
  local cur=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if ((skip)); then skip=0; continue; fi
    case $word in
      ${valued(all).join('|')}) skip=1; continue ;;
      -*) continue ;;
    esac
    known=\${at:+$at }$word
    case $known in
      ${paths(all)}) at=$known ;;
    esac
  done
  if ((skip)); then
    case $before in
      -o|--output) COMPREPLY=($(compgen -W 'table json' -- "$cur")) ;;
      *) COMPREPLY=($(compgen -f -- "$cur")) ;;
    esac
    return
  fi
  case $at in
${cases(all, program)}
  esac
  COMPREPLY=($(compgen -W "$list" -- "$cur"))
}
complete -o filenames -o bashdefault -F _${name} ${name} ./${name}
`;
}

function zsh(program: Command): string {
  const all = levels(program);
  const name = program.name();
  return `#compdef ${name}
# ${name} completion for zsh: source <(${name} completion zsh)
_${name}() {
  local at='' list='' skip=0 word known
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if ((skip)); then skip=0; continue; fi
    case $word in
      (${valued(all).join('|')}) skip=1; continue ;;
      (-*) continue ;;
    esac
    known="\${at:+$at }$word"
    case $known in
      (${paths(all)}) at=$known ;;
    esac
  done
  if ((skip)); then _files; return; fi
  case $at in
${cases(all, program).replaceAll(/^ {4}'/gm, "    ('")}
  esac
  compadd -- \${=list}
}
compdef _${name} ${name}
`;
}

function paths(all: readonly Level[]): string {
  return all
    .filter(({ path }) => path !== '')
    .map(({ path }) => `'${path}'`)
    .join('|');
}

function fish(program: Command): string {
  const name = program.name();
  const lines = levels(program).flatMap(({ path, commands, options }) => {
    const words = path.split(' ').filter((word) => word !== '');
    const inside = words.map((word) => `__fish_seen_subcommand_from ${word}`);
    const outside = commands.map((c) => c.name()).join(' ');
    const before = [
      ...inside,
      ...(outside === '' ? [] : [`not __fish_seen_subcommand_from ${outside}`]),
    ];
    const when = (conditions: readonly string[]): string =>
      conditions.length === 0 ? '' : ` -n '${conditions.join('; and ')}'`;
    return [
      ...commands.map(
        (c) => `complete -c ${name} -f${when(before)} -a ${c.name()} -d ${quoted(c.summary())}`,
      ),
      ...options.map(
        ({ long, required, optional, description }) =>
          `complete -c ${name}${when(inside)} -l ${(long ?? '').slice(2)}` +
          `${required || optional ? ' -r' : ''} -d ${quoted(description)}`,
      ),
    ];
  });
  return `# ${name} completion for fish: ${name} completion fish | source\n${lines.join('\n')}\n`;
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
