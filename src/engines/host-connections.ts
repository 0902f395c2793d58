import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { HostConnections } from '../ports/host-connections.ts';

const run = promisify(execFile);
const SS_LIMIT_MS = 5_000;

/** As the kernel lists them: a daemon does not tell its clients. */
export const hostConnections: HostConnections = {
  addresses: async (host, port) => {
    const filter = ['state', 'established', 'src', host, 'sport', '=', `${port}`];
    const { stdout } = await run('ss', ['-Htn', ...filter], { timeout: SS_LIMIT_MS }).catch(() => ({
      stdout: '',
    }));
    // Columns: two queues, local address, remote address. The state is left out where it is asked for.
    return stdout.split('\n').flatMap((line) => {
      const remote = line.trim().split(/\s+/)[3];
      return remote === undefined ? [] : [remote.slice(0, remote.lastIndexOf(':'))];
    });
  },
};
