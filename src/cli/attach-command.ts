import type { Command } from 'commander';
import type { Attachment } from './answers.ts';
import { onSite, print, segment } from './cli.ts';
import { JobFailed } from './exit-codes.ts';
import { parseSeconds } from './quantities.ts';
import type { Terminal } from './terminal.ts';

/** What carries a volume to a socket of this host. */
export interface Bridges {
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

export interface OpenBridge {
  readonly uri: string;
  readonly ended: Promise<{ readonly closed: boolean; readonly said: string }>;
  readonly close: () => Promise<void>;
}

interface AttachOptions {
  readonly socket: string;
  readonly credentials: string;
  readonly patience: string;
  readonly readOnly?: boolean;
  readonly detach?: boolean;
}

export function addAttachCommands(program: Command, terminal: Terminal, bridges: Bridges): void {
  program
    .command('attach <volume>')
    .summary('open a volume as a socket of this host, for tools that know no certificates')
    .requiredOption('--socket <path>', 'where it appears')
    .requiredOption('--credentials <directory>', 'what "baton host create --out" wrote')
    .option('--patience <time>', 'requests wait so long for a lost site before they fail', '5m')
    .option('--read-only', 'no writes through this socket')
    .option('--detach', 'return, and leave it open until "baton detach"')
    .action(
      onSite<[string], AttachOptions>(terminal, async (cli, [volume], options) => {
        const path = `/volumes/${segment(volume)}/attachment`;
        const { host, port, exportName, tlsName } = await cli.api.ask<Attachment>({
          method: 'GET',
          path,
        });
        if (host === undefined || port === undefined) {
          throw new JobFailed(`volume ${volume} is not open to hosts now; try again`);
        }
        const request: BridgeRequest = {
          address: { host, port },
          exportName,
          tlsName,
          credentialsDirectory: options.credentials,
          socketPath: options.socket,
          reconnectDelaySeconds: parseSeconds(options.patience),
          readOnly: options.readOnly ?? false,
        };
        if (options.detach === true) {
          const { uri } = await bridges.openDetached(request);
          print(cli, { uri }, () => `${uri}\nbaton detach --socket ${options.socket} ends it\n`);
          return;
        }
        const stop = terminal.interrupted;
        const bridge = await bridges.open(request);
        print(cli, { uri: bridge.uri }, () => `${bridge.uri}\nCtrl-C ends it\n`);
        stop.addEventListener('abort', () => void bridge.close(), { once: true });
        if (stop.aborted) await bridge.close();
        const { closed, said } = await bridge.ended;
        if (!closed) throw new JobFailed(`the bridge ended by itself: ${said}`);
      }),
    );

  program
    .command('detach')
    .summary('end what "baton attach --detach" opened')
    .requiredOption('--socket <path>', 'as given to "attach"')
    .action(async ({ socket }: { socket: string }) => {
      const was = await bridges.end(socket);
      terminal.out(was ? `${socket} is closed\n` : `nothing was open at ${socket}\n`);
    });
}
