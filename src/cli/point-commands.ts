/** Recovery points of a group, or of a volume that stands alone, at the site that is asked. */
import type { Command } from 'commander';
import type { Point } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { Cli } from './cli.ts';
import { JobFailed } from './exit-codes.ts';
import { sayInstant } from './quantities.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';

export function addPointCommands(
  command: Command,
  noun: 'group' | 'volume',
  terminal: Terminal,
): void {
  const owner = `<${noun}>`;
  const pathOf = (name: string): string => `/${noun}s/${segment(name)}`;

  command
    .command(`points ${owner}`)
    .summary('list the recovery points at this site')
    .action(
      onSite<[string]>(terminal, async (cli, [name]) => {
        const points = await cli.api.list<Point>(`${pathOf(name)}/points`);
        print(cli, points, () => (points.length === 0 ? 'no recovery points\n' : tableOf(points)));
      }),
    );

  command
    .command(`hash ${owner} [point]`)
    .summary('hash what a recovery point holds; equal at both sites')
    .action(
      onSite<[string, string | undefined]>(terminal, (cli, [name, point]) =>
        hash(cli, pathOf(name), point),
      ),
    );
}

function tableOf(points: readonly Point[]): string {
  return table(
    [
      { heading: 'NUMBER', cell: ({ sequence }) => sequence, right: true },
      { heading: 'SEALED', cell: ({ sealedAt }) => sayInstant(sealedAt) },
      { heading: 'AT BOTH SITES', cell: ({ commonAt }) => commonAt && sayInstant(commonAt) },
      { heading: 'VOLUMES', cell: ({ volumes }) => volumes.length, right: true },
      { heading: 'ID', cell: ({ id }) => id },
    ],
    points,
  );
}

/** Hashing reads all data: hours for a large group. */
const HASH_TIMEOUT_MS = 24 * 60 * 60 * 1000;

async function hash(cli: Cli, path: string, wanted: string | undefined): Promise<void> {
  const points = await cli.api.list<Point>(`${path}/points`);
  const point = wanted ?? points.findLast(({ commonAt }) => commonAt !== undefined)?.id;
  if (point === undefined) throw new JobFailed('there is no recovery point that both sites have');
  const answer = await cli.api.ask<{
    readonly volumes: readonly { readonly volumeId: string; readonly hash: string }[];
  }>({
    method: 'POST',
    path: `${path}/points/${segment(point)}/hash`,
    timeoutMs: HASH_TIMEOUT_MS,
  });
  const names = new Map(
    points.flatMap(({ volumes }) => volumes).map(({ volumeId, name }) => [volumeId, name]),
  );
  print(cli, answer, () =>
    table(
      [
        { heading: 'VOLUME', cell: ({ volumeId }) => names.get(volumeId) ?? volumeId },
        { heading: 'SHA-256 OF 4 MiB BLOCKS', cell: (volume) => volume.hash },
      ],
      answer.volumes,
    ),
  );
}
