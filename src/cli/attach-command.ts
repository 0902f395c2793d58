import type { Command } from 'commander';
import type { Attachment } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import type { GlobalOptions } from './cli.ts';
import { JobFailed, UsageError } from './exit-codes.ts';
import { follow, showAttached, stateDirectoryOf } from './follow-volumes.ts';
import type { HostBundle } from './host-bundle.ts';
import { parseSeconds } from './quantities.ts';
import type { Terminal } from './terminal.ts';

/** What carries volumes to this host. */
export interface Bridges {
  /** Attaches volumes and follows them from site to site. */
  readonly follow: (request: FollowRequest) => Promise<RunningAgent>;
  readonly statusOf: (stateDirectory: string) => Promise<readonly FollowedStatus[]>;
  /** Tells the agent that what there is now is taken, though writes may be missing. */
  readonly accept: (stateDirectory: string, acceptance: string) => Promise<void>;
  /** Ends an agent and all that it attached. @returns where that was */
  readonly detachAll: (stateDirectory: string) => Promise<readonly string[]>;
  readonly open: (request: BridgeRequest) => Promise<OpenBridge>;
  readonly openDetached: (request: BridgeRequest) => Promise<{ readonly uri: string }>;
  /** @returns whether there was one */
  readonly end: (socketPath: string) => Promise<boolean>;
}

export interface BridgeRequest {
  readonly address: { readonly host: string; readonly port: number };
  readonly exportName: string;
  readonly tlsName: string;
  readonly credentialsDirectory: string;
  readonly socketPath: string;
  readonly reconnectDelaySeconds: number;
  readonly readOnly: boolean;
}

export interface FollowRequest {
  readonly bundle: HostBundle;
  readonly volumes: readonly string[];
  readonly as: 'socket' | 'file' | 'device';
  readonly directory: string;
  readonly patienceSeconds: number;
  readonly stateDirectory: string;
  readonly onChange: (status: FollowedStatus) => void;
}

export interface FollowedStatus {
  readonly name: string;
  readonly path: string;
  readonly state: 'open' | 'waiting' | 'closed';
  readonly site?: string;
  readonly epoch?: number;
  readonly why?: string;
  readonly acceptance?: string;
}

export interface RunningAgent {
  readonly askedToLeave: Promise<void>;
  /** Where each volume appears. */
  readonly volumes: () => readonly { readonly name: string; readonly path: string }[];
  /** Ends; what it attached stays for the next one. */
  readonly leave: () => Promise<void>;
}

export interface OpenBridge {
  readonly uri: string;
  readonly ended: Promise<{ readonly closed: boolean; readonly said: string }>;
  readonly close: () => Promise<void>;
}

interface AttachOptions {
  readonly socket?: string;
  readonly fuse?: string;
  readonly nbd?: boolean;
  readonly bundle?: string;
  readonly credentials?: string;
  readonly state?: string;
  readonly accept?: string;
  readonly patience: string;
  readonly readOnly?: boolean;
  readonly detach?: boolean;
}

const ATTACH_HELP = `
With --bundle the volumes are followed: when their group is handed over, requests wait for a moment
and go on at the other site. The command runs as long as it shall follow; Ctrl-C detaches. SIGTERM
ends it alone: volumes stay attached for the next one, which may be a system service. After a
failover that may have lost writes all requests fail, and it says how to go on.

With --socket each is a unix socket that speaks NBD. With --fuse each is a plain file, for what speaks
no NBD: it may have a file system and be loop-mounted. That needs /dev/fuse, and Debian's packages
libnbd-bin and fuse3. With --nbd each is a block device of the kernel, if that has the module nbd; it
needs root and nbd-client.

COPY/VOLUME is a volume of a failover test or a clone, and appears as COPY.VOLUME. It is followed
nowhere: it is where its copy is.

With --credentials it is a single volume at a single site.

Examples:
  baton attach data log --bundle /etc/baton/host --socket /run/volumes
  baton attach data --bundle /etc/baton/host --fuse /run/files
  baton attach orders-test/data --bundle /etc/baton/host --socket /run/volumes
  baton attach --accept 6f1c…                     go on after a failover, with what there is
  baton attach data --credentials ./app1 --socket ./data.sock --detach`;

export function addAttachCommands(program: Command, terminal: Terminal, bridges: Bridges): void {
  program
    .command('attach [volumes...]')
    .summary('open volumes as sockets, files or devices here, and follow them from site to site')
    .option('--bundle <directory>', 'what "baton host enrol" wrote: volumes are followed')
    .option('--socket <path>', 'a directory for their sockets; without --bundle, the socket itself')
    .option('--fuse <directory>', 'a directory for files in place of sockets; with --bundle')
    .option('--nbd', 'devices of the kernel in place of sockets; with --bundle, as root')
    .option('--state <directory>', 'what the agent keeps (default: below /run, or the session)')
    .option('--accept <point>', 'go on with this history, although writes may be missing')
    .option('--credentials <directory>', 'what "baton host create --out" wrote: one site only')
    .option('--patience <time>', 'requests wait so long for a lost site before they fail', '5m')
    .option('--read-only', 'no writes; not with --bundle')
    .option('--detach', 'return, and leave it open until "baton detach"; not with --bundle')
    .addHelpText('after', ATTACH_HELP)
    .action(async (volumes: readonly string[], options: AttachOptions, command: Command) => {
      if (options.bundle === undefined && options.accept === undefined) {
        if (options.fuse !== undefined) throw new UsageError('--fuse is for --bundle');
        if (options.nbd !== undefined) throw new UsageError('--nbd is for --bundle');
        await attachOne(terminal, bridges)(volumes, options, command);
      } else await follow(terminal, bridges, volumes, options);
    });

  program
    .command('attached')
    .summary('what the agent on this host follows, and how that stands')
    .option('--state <directory>', 'as given to "attach"')
    .action(({ state }: { state?: string }, command: Command) =>
      showAttached(terminal, bridges, state, command.optsWithGlobals<GlobalOptions>().output),
    );

  program
    .command('detach')
    .summary('end what "baton attach" left open')
    .option('--socket <path>', 'a single one, as given to "attach --credentials"')
    .option('--state <directory>', 'all that an agent follows, as given to "attach --bundle"')
    .action(async ({ socket, state }: { socket?: string; state?: string }) => {
      if (socket !== undefined) {
        const was = await bridges.end(socket);
        terminal.out(was ? `${socket} is closed\n` : `nothing was open at ${socket}\n`);
        return;
      }
      const paths = await bridges.detachAll(stateDirectoryOf(terminal, state));
      const lines = paths.map((path) => `${path} is closed\n`);
      terminal.out(lines.length === 0 ? 'nothing was attached\n' : lines.join(''));
    });
}

/** A volume at the site that serves it now. */
function attachOne(
  terminal: Terminal,
  bridges: Bridges,
): (volumes: readonly string[], options: AttachOptions, command: Command) => Promise<void> {
  return onSite<[readonly string[]], AttachOptions>(terminal, async (cli, [volumes], options) => {
    const [volume] = volumes;
    const { socket, credentials } = options;
    if (volume === undefined || volumes.length > 1) {
      throw new UsageError(
        'several volumes, or none, need --bundle: "baton host enrol" writes one',
      );
    }
    if (socket === undefined || credentials === undefined) {
      throw new UsageError('wanted --bundle and --socket, or --credentials and --socket');
    }
    const path = `/volumes/${segment(volume)}/attachment`;
    const attachment = await cli.api.ask<Attachment>({ method: 'GET', path });
    const { host, port, exportName, tlsName } = attachment;
    if (host === undefined || port === undefined) {
      throw new JobFailed(`volume ${volume} is not open to hosts now; try again`);
    }
    const request: BridgeRequest = {
      address: { host, port },
      exportName,
      tlsName,
      credentialsDirectory: credentials,
      socketPath: socket,
      reconnectDelaySeconds: parseSeconds(options.patience),
      readOnly: options.readOnly ?? false,
    };
    if (options.detach === true) {
      const { uri } = await bridges.openDetached(request);
      print(cli, { uri }, () => `${uri}\nbaton detach --socket ${socket} ends it\n`);
      return;
    }
    const stop = terminal.interrupted;
    const bridge = await bridges.open(request);
    print(cli, { uri: bridge.uri }, () => `${bridge.uri}\nCtrl-C ends it\n`);
    stop.addEventListener('abort', () => void bridge.close(), { once: true });
    if (stop.aborted) await bridge.close();
    const { closed, said } = await bridge.ended;
    if (!closed) throw new JobFailed(`the bridge ended by itself: ${said}`);
  });
}
