/**
 * `bench/RESULTS.md`: one section for each benchmark, replaced as a whole when that one ran again.
 * Each names its own machine and date, so that sections of different runs can stand together.
 */
import { readFile, writeFile } from 'node:fs/promises';
import type { BenchResult, Table } from './bench.ts';

const TITLE = `# Results

Written by \`npm run bench\`, not by hand; \`npm run bench -- delta-cycle\` replaces that section only.
Ratios compare two ways to do the same work on one machine in one run, one after the other and again,
so that both meet the same weather; absolute numbers are this machine's. Each cell is the median, with
the least and the most of the repetitions behind it.
`;

const COLUMNS = 104;

export interface Section {
  readonly name: string;
  readonly about: string;
  readonly result: BenchResult;
  /** Machine, date, scale. */
  readonly measured: string;
}

/** @param order names of all benchmarks, in the order of the file */
export async function recordSection(
  path: string,
  section: Section,
  order: readonly string[],
): Promise<void> {
  const before = await readFile(path, 'utf8').catch(() => '');
  const sections = new Map(
    before
      .split(/^(?=## )/m)
      .filter((text) => text.startsWith('## '))
      .map((text) => [/^## (.*)$/m.exec(text)?.[1] ?? '', text.trim()]),
  );
  sections.set(section.name, sectionText(section));
  const known = order.flatMap((name) => sections.get(name) ?? []);
  await writeFile(path, `${[TITLE.trim(), ...known].join('\n\n')}\n`);
}

export function sectionText({ name, about, result, measured }: Section): string {
  const notes = result.notes.map((note) => `- ${note}`).join('\n');
  const parts = [
    `## ${name}`,
    wrap(about),
    ...result.tables.map(tableText),
    notes,
    `*${measured}*`,
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function wrap(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const longer = `${lines.at(-1) ?? ''} ${word}`;
    if (lines.length > 0 && longer.length <= COLUMNS) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines.join('\n');
}

function tableText({ head, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
