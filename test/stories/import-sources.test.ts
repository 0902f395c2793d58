/** Volumes come in from whatever a site may stand beside: iSCSI, NBD over TLS, the web, images, disks. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import test, { after } from 'node:test';
import type { NumberedWriter } from '../../src/main/numbered-writer.ts';
import { sparseFile } from '../support/nbd-servers.ts';
import {
  addSource,
  createImport,
  endImport,
  importOnce,
  readingFile,
  volumeOpen,
} from '../support/story-import.ts';
import { refusal } from '../support/story-site.ts';
import {
  convertImage,
  iscsiTarget,
  loopDevice,
  tlsNbdServer,
  webServer,
  whyNoBlockDevice,
} from '../support/story-targets.ts';
import { assertNothingLost, moreWrites, twoSites } from '../support/two-sites.ts';

const MIB = 1024 * 1024;
const SIZE_BYTES = 16 * MIB;

const sites = await twoSites({ after });
const { paris } = sites;
await paris.hostFiles('app1');
const directory = join(sites.dir, 'sources');
await mkdir(directory);

interface ImportedVolume {
  readonly name: string;
  readonly locator: string;
  readonly format?: string;
}

/** Imports a volume under a writer that comes before the copy has ended, until both are equal. */
async function readyUnderWriter(source: string, volume: ImportedVolume): Promise<NumberedWriter> {
  await createImport(paris, {
    source,
    volumes: [volume],
    hosts: ['app1'],
    bytesPerSecond: 8 * MIB,
  });
  await volumeOpen(paris, volume.name);
  const writer = await sites.startWriter({ volumes: [volume.name] });
  const { comparison } = await importOnce(paris, volume.name, 'ready');
  assert.ok(comparison?.hash !== undefined);
  await moreWrites(writer, 100);
  return writer;
}

/** After the cut-over it goes on through the connection that it had. */
async function cutOverUnderWriter(writer: NumberedWriter, name: string): Promise<void> {
  const ended = await endImport(paris, name, 'cutover');
  assert.equal(ended.state, 'completed', ended.trouble ?? '');
  await moreWrites(writer, 100);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  assertNothingLost(await sites.verify(writer, 'acknowledged'));
}

/** After the cancel it goes on with the source; it leaves, and the way to the source closes. */
async function cancelUnderWriter(writer: NumberedWriter, name: string): Promise<void> {
  const ended = await endImport(paris, name, 'cancel', { force: false });
  assert.equal(ended.state, 'cancelled', ended.trouble ?? '');
  await moreWrites(writer, 100);
  assert.deepEqual([writer.serverErrors(), writer.disconnected()], [0, []]);
  await writer.stop();
  await paris.ask({ method: 'DELETE', path: `/volumes/${name}/hosts/app1` });
  await paris.carryOut({ method: 'DELETE', path: `/imports/${name}` });
}

/** The source itself has all that its host wrote, whoever looks. */
async function assertHasEveryWrite(raw: string, writer: NumberedWriter): Promise<void> {
  assertNothingLost(await readingFile(raw, (r) => writer.verify(() => r, 'acknowledged')));
}

/** Some bytes here and there, and holes. */
async function filledImage(name: string): Promise<string> {
  const path = await sparseFile(join(directory, name), SIZE_BYTES);
  const file = await open(path, 'r+');
  for (const at of [0, 3 * MIB, 9 * MIB + 4096, SIZE_BYTES - 65_536]) {
    await file.write(randomBytes(65_536), 0, 65_536, at);
  }
  await file.close();
  return path;
}

test('an iSCSI target is asked for its disks, with CHAP; one is cut over, another cancelled', async () => {
  const target = await iscsiTarget(join(directory, 'iscsi'), [SIZE_BYTES, SIZE_BYTES]);
  const { endpoint, user, password, name } = target;
  const withUser = { ...endpoint, chapUser: user };
  const wrong = addSource(paris, 'san', withUser, { password: 'another CHAP secret' });
  await assert.rejects(wrong, refusal('source_unreachable'));
  await assert.rejects(addSource(paris, 'san', endpoint), refusal('source_unreachable'));
  await addSource(paris, 'san', withUser, { password });
  const { volumes } = await paris.get<{ volumes: { locator: string }[] }>('/sources/san/volumes');
  const found = [1, 2].map((lun) => ({ locator: `${name}/${lun}`, sizeBytes: SIZE_BYTES }));
  assert.deepEqual(volumes, found);

  await cutOverUnderWriter(
    await readyUnderWriter('san', { name: 'orders', locator: `${name}/1` }),
    'orders',
  );
  const writer = await readyUnderWriter('san', { name: 'mail', locator: `${name}/2` });
  await cancelUnderWriter(writer, 'mail');
  await assertHasEveryWrite(target.files[1] ?? '', writer);
});

test('an NBD server that wants TLS both ways gives a volume to who has its certificate, to nobody else', async () => {
  const server = await tlsNbdServer(join(directory, 'tls'), SIZE_BYTES);
  const { endpoint, secret, stranger } = server;
  await assert.rejects(addSource(paris, 'vault', stranger, secret), refusal('source_unreachable'));
  await addSource(paris, 'vault', endpoint, secret);

  await cutOverUnderWriter(
    await readyUnderWriter('vault', { name: 'ledger', locator: '' }),
    'ledger',
  );
  const writer = await readyUnderWriter('vault', { name: 'wages', locator: '' });
  await cancelUnderWriter(writer, 'wages');
  await assertHasEveryWrite(server.file, writer);
});

test('images of other systems come in byte for byte, from files and from the web, and are not written', async () => {
  const raw = await filledImage('golden.img');
  const images = await Promise.all(
    (['raw', 'qcow2', 'vmdk', 'vdi', 'vhdx'] as const).map(async (format) => ({
      source: format === 'raw' || format === 'qcow2' ? 'web' : 'images',
      format,
      file: format === 'raw' ? raw : await convertImage(raw, format),
    })),
  );
  const before = await Promise.all(images.map(({ file }) => readFile(file)));
  const login = { user: 'reader', password: 'may read images' };
  const web = await webServer(directory, login);
  try {
    const http = { kind: 'http', baseUrl: web.baseUrl, user: login.user };
    const wrong = addSource(paris, 'web', http, { password: 'guessed' });
    await assert.rejects(wrong, refusal('source_unreachable'));
    await addSource(paris, 'web', http, { password: login.password });
    await addSource(paris, 'images', { kind: 'file', directory });
    for (const { source, file, format } of images) {
      const volumes = [{ name: format, locator: basename(file), format, readOnly: true }];
      await createImport(paris, { source, volumes, hosts: ['app1'], automaticCutover: true });
    }
    const content = await readFile(raw);
    for (const { format } of images) {
      await importOnce(paris, format, 'completed');
      await volumeOpen(paris, format);
      const connection = await sites.connect(paris, format);
      assert.ok(content.equals(await connection.read(0, SIZE_BYTES)), format);
      await connection.write(4096, randomBytes(4096));
      await connection.disconnect();
    }
    assert.deepEqual(await Promise.all(images.map(({ file }) => readFile(file))), before);
  } finally {
    await web.close();
  }
});

test('a qcow2 image is imported under its writer; cancelled, the image itself has every write', async () => {
  const image = await convertImage(await filledImage('live.img'), 'qcow2');
  await addSource(paris, 'live', { kind: 'file', directory });
  const volume = { name: 'live', locator: basename(image), format: 'qcow2' };
  const writer = await readyUnderWriter('live', volume);

  await cancelUnderWriter(writer, 'live');

  await assertHasEveryWrite(await convertImage(image, 'raw'), writer);
});

test(
  'a block device of this machine is imported under its writer',
  { skip: whyNoBlockDevice },
  async () => {
    const file = await sparseFile(join(directory, 'device.img'), SIZE_BYTES);
    const device = await loopDevice(file);
    try {
      await addSource(paris, 'devices', { kind: 'file', directory: '/dev' });
      const volume = { name: 'device', locator: basename(device.path) };
      await cutOverUnderWriter(await readyUnderWriter('devices', volume), 'device');
    } finally {
      await device.detach();
    }
  },
);
