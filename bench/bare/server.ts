import type { QmpClient } from '../../src/engines/qmp/client.ts';
import { addObject } from '../../src/engines/qmp/commands.ts';
import type { BareSite } from './credentials.ts';

/** Opens the daemon's server, over TLS, to one client. */
export async function listen(qmp: QmpClient, site: BareSite, admitted: string): Promise<void> {
  const { tlsDirectory, address, port } = site;
  const rules = [{ match: admitted, policy: 'allow', format: 'exact' }];
  await addObject(qmp, 'authz-list', 'admitted', { policy: 'deny', rules });
  await addObject(qmp, 'tls-creds-x509', 'tls-serve', {
    dir: tlsDirectory,
    endpoint: 'server',
    'verify-peer': true,
  });
  await qmp.execute('nbd-server-start', {
    addr: { type: 'inet', data: { host: address, port: `${port}` } },
    'tls-creds': 'tls-serve',
    'tls-authz': 'admitted',
    'max-connections': 0,
  });
}

export async function addExport(
  qmp: QmpClient,
  name: string,
  node: string,
  { writethrough = false } = {},
): Promise<void> {
  const served = { type: 'nbd', id: name, 'node-name': node, name, writable: true, writethrough };
  await qmp.execute('block-export-add', served);
}
