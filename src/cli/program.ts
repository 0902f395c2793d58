import { Command, Option } from 'commander';
import { addAttachCommands } from './attach-command.ts';
import type { Bridges } from './attach-command.ts';
import { completionScript, shells } from './completion.ts';
import { addCopyCommands, addCopyVerbs } from './copy-commands.ts';
import { addDrillCommands } from './drill-commands.ts';
import { addEventsCommand } from './events-command.ts';
import { EXIT_CODES_HELP, exitCodeOf } from './exit-codes.ts';
import { addForkCommands } from './fork-commands.ts';
import { addGroupCommands } from './group-commands.ts';
import { addHostCommands, addMappingCommands } from './host-commands.ts';
import { addImportCommands } from './import-commands.ts';
import { addJobCommands } from './job-commands.ts';
import { addMoveCommands } from './move-commands.ts';
import { addPeerCommands } from './peer-commands.ts';
import { addPointCommands } from './point-commands.ts';
import { addRestoreCommand } from './restore-command.ts';
import { addSessionCommands } from './session-commands.ts';
import { addSiteCommands } from './site-commands.ts';
import { addSourceCommands } from './source-commands.ts';
import type { Terminal } from './terminal.ts';
import { sayTrouble } from './trouble.ts';
import { addUserCommands } from './user-commands.ts';
import { addVolumeCommands } from './volume-commands.ts';
import { addWindowCommands } from './window-commands.ts';

export interface ProgramParts {
  readonly terminal: Terminal;
  readonly bridges: Bridges;
}

/** All commands over the native API. Whoever runs sites adds theirs. */
export function buildProgram({ terminal, bridges }: ProgramParts): Command {
  const program = new Command('baton')
    .description(
      'Disaster recovery for block storage: volume groups pass from site to site, no write lost.',
    )
    .exitOverride()
    .configureOutput({ writeOut: terminal.out, writeErr: terminal.err })
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: false })
    .option('--site <url>', 'the site to ask, as https://10.0.0.1:8443 (BATON_SITE)')
    .option('--ca <file>', "the certificate of the site's authority (BATON_CA)")
    .option('--pair <directory>', 'a pair of sites from "baton pair up" (BATON_PAIR_DIR)')
    .option('--at <name>', 'which one of the pair, as paris (BATON_AT)')
    .addOption(
      new Option('-o, --output <format>', 'for people or for programs')
        .choices(['table', 'json'])
        .default('table'),
    );

  const volume = noun(program, 'volume', 'make, grow, show and delete volumes', volumeExamples);
  addVolumeCommands(volume, terminal);
  addVerbs(volume, 'volume', terminal);

  const group = noun(program, 'group', 'volumes that move together: protect, hand over', examples);
  addGroupCommands(group, terminal);
  addVerbs(group, 'group', terminal);

  addHostCommands(noun(program, 'host', 'machines that attach volumes'), terminal);
  addPeerCommands(noun(program, 'peer', 'sites that this one is paired with'), terminal);
  addCopyCommands(noun(program, 'copy', 'failover tests, clones and mounted points'), terminal);
  addDrillCommands(noun(program, 'drill', 'rehearsals with a signed report'), terminal);
  addForkCommands(noun(program, 'fork', 'histories that a failover set aside'), terminal);
  addSourceCommands(noun(program, 'source', 'systems that volumes are brought in from'), terminal);
  const importing = 'bring volumes in while their hosts go on; cut over or cancel';
  addImportCommands(noun(program, 'import', importing, importExamples), terminal);
  addJobCommands(noun(program, 'job', 'long requests: follow, look back, abort'), terminal);
  addUserCommands(noun(program, 'user', 'who may do what'), terminal);
  addSiteCommands(program, terminal);
  addEventsCommand(program, terminal);
  addAttachCommands(program, terminal, bridges);

  program
    .command('completion <shell>')
    .summary(`print the completion of a shell: ${shells.join(', ')}`)
    .action((shell: string) => terminal.out(completionScript(program, shell)));

  return program.addHelpText(
    'after',
    `
Two sites on this machine, to try it out:
  baton pair up --dir ./pair
  baton --pair ./pair --at paris volume list

In scripts, instead of "baton login":
  BATON_SITE, BATON_CA, and BATON_TOKEN or BATON_USER with BATON_PASSWORD

${EXIT_CODES_HELP}`,
  );
}

/**
 * Runs a command line.
 *
 * @param args without the program's own name
 * @returns the exit code; what went wrong has been said
 */
export async function run(
  program: Command,
  args: readonly string[],
  terminal: Terminal,
): Promise<number> {
  try {
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    const code = exitCodeOf(error);
    // Commander has said what it had to say.
    const { output } = program.opts<{ output: 'table' | 'json' }>();
    if (!isCommanders(error)) terminal.err(sayTrouble(error, output));
    return code;
  }
}

/** What groups, and volumes that stand alone, have in common. */
function addVerbs(command: Command, name: 'group' | 'volume', terminal: Terminal): void {
  addMappingCommands(command, name, terminal);
  command.commandsGroup('Replication:');
  addSessionCommands(command, name, terminal);
  command.commandsGroup('Moving to the other site:');
  addMoveCommands(command, name, terminal);
  addWindowCommands(command, name, terminal);
  command.commandsGroup('Recovery points:');
  addPointCommands(command, name, terminal);
  addRestoreCommand(command, name, terminal);
  command.commandsGroup('Beside it:');
  addCopyVerbs(command, name, terminal);
}

function noun(program: Command, name: string, summary: string, help = ''): Command {
  return program.command(name).summary(summary).description(summary).addHelpText('after', help);
}

function isCommanders(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('commander.');
}

const volumeExamples = `
Examples:
  baton volume create data1 --size 10G
  baton volume map data1 app1
  baton volume show data1             how hosts attach it
  baton volume protect data1 --to lyon --rpo 30s`;

const examples = `
Examples:
  baton group create orders
  baton volume create orders-data --size 10G --group orders
  baton group protect orders --to lyon --rpo 30s --watch
  baton group handover orders --dry-run
  baton group handover orders --watch
  baton group failover orders --dry-run      when the other site is gone`;

const importExamples = `
Examples:
  baton source add old nbd://10.0.0.5:10809
  baton source volumes old
  baton import create data=vol7 --from old --host app1 --watch
  baton import cutover data
  baton import cancel data            before it: the host goes on with the source`;
