/** Draws docs/states/ from the tables: `node test/states/drawing.ts` writes what the test wants. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  sessionCommands,
  sessionFacts,
  sessionStates,
  transitions,
} from '../../src/domain/replication-session.ts';
import type { SessionEvent } from '../../src/domain/replication-session.ts';

export const SESSION_PAGE = fileURLToPath(
  new URL('../../docs/states/replication-session.md', import.meta.url),
);

/** The page of the session's states: a picture of what commands do, and the whole table. */
export function drawSession(): string {
  const events: readonly SessionEvent[] = [...sessionCommands, ...sessionFacts];
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `# The states of a replication session

Drawn from \`src/domain/replication-session.ts\`; a test fails when the two differ. A command that a
state has no cell for is refused there. A fact is answered in every state. Which side may ask for
what, and where that differs from the vendors' manuals, is in \`test/states/vendor-table.test.ts\`.

\`\`\`mermaid
stateDiagram-v2
  [*] --> initializing
${arrows().join('\n')}
\`\`\`

${row(['state', ...events.map((event) => event.replaceAll('_', ' '))])}
${row(['---', ...events.map(() => '---')])}
${sessionStates
  .map((state) => row([`**${state}**`, ...events.map((e) => transitions[state][e] ?? '')]))
  .join('\n')}
`;
}

/** One for each pair of states, with everything that leads from the one to the other. */
function arrows(): readonly string[] {
  const events: readonly SessionEvent[] = [...sessionCommands, ...sessionFacts];
  return sessionStates.flatMap((from) => {
    const targets = new Set(events.map((event) => transitions[from][event]));
    return [...targets].flatMap((to) => {
      if (to === undefined || to === from) return [];
      const labels = events.filter((event) => transitions[from][event] === to);
      return `  ${from} --> ${to}: ${labels.join(', ').replaceAll('_', ' ')}`;
    });
  });
}

if (import.meta.main) writeFileSync(SESSION_PAGE, drawSession());
