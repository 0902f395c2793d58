import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import test, { after } from 'node:test';
import { connectNbd, listExports } from '../../src/engines/nbd/connection.ts';
import { NbdRefused } from '../../src/engines/nbd/errors.ts';
import type { NbdRefusal } from '../../src/engines/nbd/errors.ts';
import type { AttachmentAnswer, DataPlaneAnswer, HostFiles } from '../support/native-answers.ts';
import { refusal } from '../support/story-site.ts';
import { assertNothingLost, moreWrites, twoSites, volumesOf } from '../support/two-sites.ts';

const sites = await twoSites({ after });
const { paris, lyon } = sites;

/** For `assert.rejects`: no session was made, for one of these reasons. */
function refusedAs(...codes: readonly NbdRefusal[]): (error: unknown) => boolean {
  return (error) => error instanceof NbdRefused && codes.includes(error.code);
}

/** Opens an export with exactly these files, or with none. */
function open({ host, port, exportName, tlsName }: AttachmentAnswer, files?: HostFiles) {
  assert.ok(host !== undefined && port !== undefined);
  const tls = files && {
    serverName: tlsName,
    trusted: files['ca-cert.pem'],
    certificate: files['client-cert.pem'],
    privateKey: files['client-key.pem'],
  };
  return connectNbd({ address: { host, port }, exportName, ...(tls && { tls }) });
}

test('a mapped host is admitted, another one is not, and one that is taken off is disconnected', async () => {
  await sites.protect('orders');
  await paris.hostFiles('app2');
  const first = await sites.connect(paris, 'orders-1');
  await assert.rejects(sites.connect(paris, 'orders-1', 'app2'), refusedAs('client_refused'));

  await paris.map('orders', 'app2');

  const second = await sites.connect(paris, 'orders-1', 'app2');
  await second.write(0, Buffer.alloc(4096, 2));

  await paris.unmap('orders', 'app2');

  await second.ended;
  await assert.rejects(sites.connect(paris, 'orders-1', 'app2'), refusedAs('client_refused'));
  const again = await sites.connect(paris, 'orders-1');
  assert.ok((await again.read(0, 4096)).equals(Buffer.alloc(4096, 2)));
  await Promise.all([first.disconnect(), again.disconnect()]);
});

test('who may attach a group goes with it to the other site', async () => {
  await sites.protect('ledger');
  await Promise.all([paris.hostFiles('app3'), lyon.hostFiles('app3'), lyon.hostFiles('app4')]);
  await paris.map('ledger', 'app3');

  await paris.handOver('ledger', lyon);

  assert.deepEqual((await lyon.group('ledger')).hosts, ['app1', 'app3']);
  const connection = await sites.connect(lyon, 'ledger-1', 'app3');
  await connection.disconnect();
  await assert.rejects(sites.connect(lyon, 'ledger-1', 'app4'), refusedAs('client_refused'));
});

test('nobody comes in without TLS, without a certificate, or with one of another authority', async () => {
  await sites.protect('stock');
  const attachment = await paris.attachment('stock-1');
  const own = await paris.hostFiles('app1');
  const foreign = await lyon.hostFiles('app1');

  await assert.rejects(open(attachment), refusedAs('tls_required'));
  const { 'ca-cert.pem': trusted } = own;
  const { host = '', port = 0, exportName, tlsName: serverName } = attachment;
  const nobody = { address: { host, port }, exportName, tls: { serverName, trusted } };
  await assert.rejects(connectNbd(nobody), refusedAs('client_refused'));
  // The same name, from the authority of the other site, which trusts the right server.
  const stranger = { ...foreign, 'ca-cert.pem': trusted };
  await assert.rejects(open(attachment, stranger), refusedAs('client_refused'));
  // And a host does not take any server for its own.
  await assert.rejects(open(attachment, foreign), refusedAs('server_not_trusted'));

  const connection = await open(attachment, own);
  await connection.disconnect();
});

test('a data plane that receives is open to the peer and to no host', async () => {
  await sites.protect('mail');
  const { address } = await lyon.dataPlane('mail');
  assert.ok(address);
  const { id: tlsName } = await lyon.get<{ id: string }>('/site');
  const names = ['mail-1', `in-${(await lyon.volume('mail-1')).id}`];

  for (const files of [await lyon.hostFiles('app1'), await paris.hostFiles('app1')]) {
    const trusted = (await lyon.hostFiles('app1'))['ca-cert.pem'];
    const tls = {
      serverName: tlsName,
      trusted,
      certificate: files['client-cert.pem'],
      privateKey: files['client-key.pem'],
    };
    await assert.rejects(listExports({ address, tls }), refusedAs('client_refused'));
    for (const exportName of names) {
      await assert.rejects(connectNbd({ address, exportName, tls }), refusedAs('client_refused'));
    }
  }
  for (const exportName of names) {
    await assert.rejects(connectNbd({ address, exportName }), refusedAs('tls_required'));
  }
  await assert.rejects(lyon.attachment('mail-1'), refusal('not_holder'));
  await paris.synchronize('mail');
});

/** Asks for TLS and then says nothing more, as a scanner may. @returns how to leave */
async function standStillInHandshake(at: DataPlaneAnswer['address']): Promise<() => void> {
  assert.ok(at);
  const socket = connect(at.port, at.host);
  const answer = (): Promise<unknown> => once(socket, 'data');
  try {
    await answer();
    const startTls = answer();
    socket.write(Buffer.from('0000000349484156454f50540000000500000000', 'hex'));
    await startTls;
  } catch (error) {
    // A site that gave a group away listens again when it receives.
    assert.match(String(error), /ECONNREFUSED/);
  }
  socket.on('error', () => undefined);
  return () => socket.destroy();
}

test('somebody who stands still in the middle of a TLS handshake stops nobody', async () => {
  await sites.protect('cash');
  const writer = await sites.startWriter({ volumes: volumesOf('cash') });
  await moreWrites(writer, 100);
  const addresses = await Promise.all(
    [paris, lyon].map(async (site) => (await site.dataPlane('cash')).address),
  );
  const begun = performance.now();

  for (const [from, to] of [
    [paris, lyon],
    [lyon, paris],
  ] as const) {
    const leave = await Promise.all(addresses.map(standStillInHandshake));

    await from.handOver('cash', to);

    await moreWrites(writer, 100);
    for (const go of leave) go();
  }

  assert.ok(writer.outageBetween(begun, performance.now()).durationMs < 5000);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
});
