/** Draws docs/states/ from the tables: `node test/states/drawing.ts` writes what the test wants. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  importCommands,
  importFacts,
  importStates,
  importTransitions,
} from '../../src/domain/import-session.ts';
import {
  sessionCommands,
  sessionFacts,
  sessionStates,
  transitions,
} from '../../src/domain/replication-session.ts';

interface Table {
  readonly of: string;
  readonly source: string;
  readonly remark: string;
  readonly states: readonly string[];
  readonly events: readonly string[];
  readonly next: (state: string, event: string) => string | undefined;
}

interface Page {
  readonly path: string;
  readonly drawn: string;
}

/** A picture of what each event does, and the whole table. */
export const pages: readonly Page[] = [
  page('replication-session', {
    of: 'a replication session',
    source: 'src/domain/replication-session.ts',
    remark:
      "Which side may ask for\nwhat, and where that differs from the vendors' manuals, is in " +
      '`test/states/vendor-table.test.ts`.',
    states: sessionStates,
    events: [...sessionCommands, ...sessionFacts],
    next: lookUp(transitions),
  }),
  page('import-session', {
    of: 'an import',
    source: 'src/domain/import-session.ts',
    remark:
      'Some\ncommands are what a saga has done. `roll_back` is refused in `completed`, too, unless the ' +
      'source is\nkept current, is in step, and its term is not over.',
    states: importStates,
    events: [...importCommands, ...importFacts],
    next: lookUp(importTransitions),
  }),
];

function lookUp(table: object): Table['next'] {
  const rows = table as Readonly<Record<string, Readonly<Record<string, string | undefined>>>>;
  return (state, event) => rows[state]?.[event];
}

function page(name: string, table: Table): Page {
  const path = fileURLToPath(new URL(`../../docs/states/${name}.md`, import.meta.url));
  return { path, drawn: draw(table) };
}

function draw({ of, source, remark, states, events, next }: Table): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `# The states of ${of}

Drawn from \`${source}\`; a test fails when the two differ. A command that a
state has no cell for is refused there. A fact is answered in every state. ${remark}

\`\`\`mermaid
stateDiagram-v2
  [*] --> ${states[0] ?? ''}
${arrows({ states, events, next }).join('\n')}
\`\`\`

${row(['state', ...events.map((event) => event.replaceAll('_', ' '))])}
${row(['---', ...events.map(() => '---')])}
${states
  .map((state) => row([`**${state}**`, ...events.map((event) => next(state, event) ?? '')]))
  .join('\n')}
`;
}

/** One for each pair of states, with everything that leads from the one to the other. */
function arrows({
  states,
  events,
  next,
}: Pick<Table, 'states' | 'events' | 'next'>): readonly string[] {
  return states.flatMap((from) => {
    const targets = new Set(events.map((event) => next(from, event)));
    return [...targets].flatMap((to) => {
      if (to === undefined || to === from) return [];
      const labels = events.filter((event) => next(from, event) === to);
      return `  ${from} --> ${to}: ${labels.join(', ').replaceAll('_', ' ')}`;
    });
  });
}

if (import.meta.main) for (const { path, drawn } of pages) writeFileSync(path, drawn);
