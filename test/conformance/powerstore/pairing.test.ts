/** Two fresh systems, paired by the vendor's own Python client, and a session between them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitUntil } from '../../../src/main/wait-until.ts';
import { twoSites } from '../../support/two-sites.ts';
import { ClientRefused, powerstoreClients } from './powerstore-client.ts';
import type { Attributes } from './powerstore-client.ts';

const LIMIT_MS = 60_000;

test('systems that do not know each other exchange certificates, are paired and replicate', async (t) => {
  const sites = await twoSites(t, { paired: false });
  const { paris, lyon } = await powerstoreClients(t, sites);
  const { token } = await sites.lyon.ask<{ token: string }>({
    method: 'POST',
    path: '/peers/invitations',
  });
  const { address } = sites.lyon;
  const remote = {
    management_address: address,
    type: 'PowerStore',
    data_network_latency: 'Low',
  };
  await assert.rejects(
    paris.call('protection.create_remote_system', [remote]),
    (error) => error instanceof ClientRefused && error.status === 422,
  );

  await paris.call('config_mgmt.exchange_certificate', [
    { service: 'Replication_HTTP', address, username: 'admin', password: token },
  ]);
  const made = (await paris.call('protection.create_remote_system', [remote])) as Attributes;
  assert.equal(made['name'], 'lyon');
  await waitUntil('both are connected', LIMIT_MS, async () => {
    const [there] = (await lyon.call('protection.get_remote_system_by_name', [
      'paris',
    ])) as readonly Attributes[];
    const here = (await paris.call('protection.get_remote_system_details', [
      made['id'],
    ])) as Attributes;
    const isSo = [there, here].every((one) => one?.['data_connection_state'] === 'OK');
    return isSo ? true : undefined;
  });

  const rule = { name: 'five', rpo: 'Five_Minutes', remote_system_id: made['id'] };
  const { id: ruleId } = (await paris.call(
    'protection.create_replication_rule',
    [],
    rule,
  )) as Attributes;
  const policy = { name: 'gold', replication_rule_ids: [ruleId] };
  const { id: policyId } = (await paris.call(
    'protection.create_protection_policy',
    [],
    policy,
  )) as Attributes;
  await paris.call('provisioning.create_volume', ['data', 64 * 1024 * 1024], {
    protection_policy_id: policyId,
  });
  await waitUntil('it is replicated', LIMIT_MS, async () => {
    const [session] = (await lyon.call('protection.get_replication_sessions')) as Attributes[];
    if (session === undefined) return undefined;
    const { state, role } = (await lyon.call('protection.get_replication_session_details', [
      session['id'],
    ])) as Attributes;
    return state === 'OK' && role === 'Destination' ? true : undefined;
  });
});
