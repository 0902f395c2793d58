/** `baton import create` */
import { Option } from 'commander';
import type { Command } from 'commander';
import { imageFormats } from '../domain/import-source.ts';
import type { Import } from './answers.ts';
import { onSite, print } from './cli.ts';
import { UsageError } from './exit-codes.ts';
import { watchImport } from './import-watch.ts';
import { nextStep } from './import-words.ts';
import { parseInstant, parseSeconds, parseSize } from './quantities.ts';
import type { Terminal } from './terminal.ts';

interface CreateOptions {
  readonly from: string;
  readonly name?: string;
  readonly group?: string;
  readonly host?: string;
  readonly format?: string;
  readonly readOnly?: boolean;
  readonly autoCutover?: boolean;
  readonly verify: boolean;
  readonly waitForHosts?: boolean;
  readonly limit?: string;
  readonly start?: string;
  readonly to?: string;
  readonly rpo?: string;
  readonly rollbackFor?: string;
  readonly watch?: boolean;
}

export function addCreateCommand(command: Command, terminal: Terminal): void {
  command
    .command('create <volumes...>')
    .summary('begin to bring volumes in, each as NAME=LOCATOR')
    .requiredOption('--from <source>', 'the system that has them')
    .option('--host <names>', 'who writes them meanwhile and after it, with commas')
    .option('--group <name>', 'the group of several volumes; they are cut over together')
    .option('--name <name>', "of the import (default: the group's or the volume's)")
    .addOption(
      new Option('--format <format>', 'of image files (default: raw)').choices([...imageFormats]),
    )
    .option('--read-only', 'never write the source; hosts attach after the cut-over')
    .option('--auto-cutover', 'cut over without being told, once both copies are equal')
    .option('--no-verify', 'do not compare both copies before the cut-over')
    .option('--wait-for-hosts', 'copy only when told that hosts write here')
    .option('--limit <size>', 'bytes per second of the copy, such as 50M')
    .option('--start <instant>', 'not before, such as 2026-12-01T22:00:00Z')
    .option('--to <peer>', 'replicate it to this site from the cut-over on')
    .option('--rpo <time>', 'how old its copy there may become, such as 30s')
    .option('--rollback-for <time>', 'after the cut-over the source is kept current, such as 24h')
    .option('--watch', 'show how it goes on, until somebody has to decide')
    .addHelpText('after', createHelp)
    .action(
      onSite<[readonly string[]], CreateOptions>(terminal, async (cli, [volumes], options) => {
        const body = createBody(volumes, options);
        const made = await cli.api.ask<Import>({ method: 'POST', path: '/imports', body });
        if (options.watch === true) return watchImport(cli, made);
        print(cli, made, () => sayBegun(made));
      }),
    );
}

function createBody(volumes: readonly string[], options: CreateOptions): object {
  const { from, name, group, host, format, readOnly, limit, start, to, rpo } = options;
  const { rollbackFor } = options;
  if ((to === undefined) !== (rpo === undefined)) {
    throw new UsageError('wanted --to PEER and --rpo TIME together');
  }
  return {
    source: from,
    volumes: volumes.map((volume) => ({
      ...parseVolume(volume),
      ...(format !== undefined && { format }),
      ...(readOnly !== undefined && { readOnly }),
    })),
    verify: options.verify,
    ...(name !== undefined && { name }),
    ...(group !== undefined && { group }),
    ...(host !== undefined && { hosts: host.split(',') }),
    ...(options.autoCutover !== undefined && { automaticCutover: options.autoCutover }),
    ...(options.waitForHosts !== undefined && { waitForHosts: options.waitForHosts }),
    ...(limit !== undefined && { bytesPerSecond: parseSize(limit) }),
    ...(start !== undefined && { scheduledAt: parseInstant(start) }),
    ...(rollbackFor !== undefined && { rollbackForSeconds: parseSeconds(rollbackFor) }),
    ...(to !== undefined &&
      rpo !== undefined && { protect: { peer: to, rpoSeconds: parseSeconds(rpo) } }),
  };
}

/** `data=iqn.2001-04.com.example:disk/1`; an NBD server's default export has no name: `data=`. */
function parseVolume(text: string): { readonly name: string; readonly locator: string } {
  const at = text.indexOf('=');
  if (at > 0) return { name: text.slice(0, at), locator: text.slice(at + 1) };
  throw new UsageError(`wanted a volume as NAME=LOCATOR, got "${text}"`);
}

function sayBegun(made: Import): string {
  const { name, volumes, source, state } = made;
  const names = volumes.map((volume) => volume.name).join(', ');
  const next = nextStep(made);
  return [
    `import ${name} is ${state}: volume ${names} from source ${source.name}`,
    ...(next === undefined ? [] : [`next: ${next}`]),
    `to follow it: baton import watch ${name}\n`,
  ].join('\n');
}

const createHelp = `
Let the hosts stop writing the source, attach the new volumes here, and go on: every write reaches the
source until the cut-over, which keeps their connections. What writes the source past this site makes the
copies differ, which is found before the cut-over. With --rollback-for hosts can be taken back to the source
for that time after it, and nothing is lost; what else may change the volume waits until it is over.

Examples:
  baton import create data=vol7 --from old --host app1 --watch
  baton import create data=iqn.2001-04.com.example:disk/1 --from san --host app1 --limit 50M
  baton import create data=a.img log=b.img --group orders --from disks --host app1 --auto-cutover
  baton import create golden=debian.qcow2 --from images --format qcow2 --auto-cutover`;
