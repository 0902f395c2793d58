import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { noBridges, withOrders, worked } from '../../test/support/cli-world.ts';
import type { Bridges } from './attach-command.ts';
import { readBundle } from './host-bundle.ts';

test("a host's key is in files that only their owner reads, and nowhere else", async (t) => {
  const { paris$, json, directory } = await withOrders(t);
  const out = join(directory, 'app1');

  const said = worked(await paris$(`host create app1 --out ${out}`));
  const files = ['ca-cert.pem', 'client-cert.pem', 'client-key.pem'];
  for (const file of files) assert.equal((await stat(join(out, file))).mode & 0o777, 0o600);
  assert.equal((await stat(out)).mode & 0o777, 0o700);
  assert.match(await readFile(join(out, 'client-key.pem'), 'utf8'), /PRIVATE KEY/);
  assert.match(said, new RegExp(`tls-certificates=${out}`));
  const again = await json<object>(`host certificate app1 --out ${out}`);
  assert.doesNotMatch(said + JSON.stringify(again), /PRIVATE KEY/);

  worked(await paris$('group map orders app1'));
  assert.match(worked(await paris$('group list')), / app1$/m);
  const used = await paris$('host delete app1');
  assert.deepEqual([used.code, used.err.includes('hint: unmap')], [3, true]);
  worked(await paris$('group unmap orders app1'));
  worked(await paris$('host delete app1'));
});

test('a volume is attached by a bridge that ends with Ctrl-C', async (t) => {
  const { paris$ } = await withOrders(t);
  const interrupt = new AbortController();
  const requests: object[] = [];
  const { promise: ended, resolve: end } = Promise.withResolvers<{
    closed: boolean;
    said: string;
  }>();
  const bridges = {
    ...noBridges,
    open: (request: object) => {
      requests.push(request);
      setImmediate(() => interrupt.abort());
      const close = async (): Promise<void> => end({ closed: true, said: '' });
      return Promise.resolve({ uri: 'nbd+unix:///data?socket=/s', ended, close });
    },
    end: () => Promise.resolve(true),
  };

  const options = { bridges, interrupted: interrupt.signal };
  const said = worked(await paris$('attach data --socket /s --credentials /c', options));

  assert.equal(said, 'nbd+unix:///data?socket=/s\nCtrl-C ends it\n');
  const [request] = requests as { exportName: string; socketPath: string }[];
  assert.deepEqual([request?.exportName, request?.socketPath], ['data', '/s']);
  assert.equal(worked(await paris$('detach --socket /s', { bridges })), '/s is closed\n');
});

test('an enrolled host gets one bundle for both sites, and what cannot be meant is refused', async (t) => {
  const { paris$, baton, directory } = await withOrders(t);
  const out = join(directory, 'bundle');

  const said = worked(await paris$(`host enrol app9 --out ${out}`));

  assert.match(said, /known at paris and lyon/);
  const { host, sites } = await readBundle(out);
  assert.equal(host, 'app9');
  assert.deepEqual(
    sites.map(({ name }) => name),
    ['paris', 'lyon'],
  );
  for (const { credentialsDirectory } of sites) {
    const { mode } = await stat(join(credentialsDirectory, 'client-key.pem'));
    assert.equal(mode & 0o777, 0o600);
  }
  const refused = async (line: string, sentence: RegExp): Promise<void> => {
    const { code, err } = await baton(line.split(' '));
    assert.equal(code, 2, err);
    assert.match(err, sentence);
  };
  await refused(`attach data --bundle ${directory} --socket /v`, /holds no bundle/);
  await refused(`attach data --bundle ${out}`, /wanted one of --socket DIRECTORY, --fuse/);
  await refused(`attach data --bundle ${out} --socket /v --fuse /f`, /--fuse DIRECTORY and --nbd/);
  await refused('attach data --nbd --credentials /c', /--nbd is for --bundle/);
  await refused('attach data --fuse /f --credentials /c', /--fuse is for --bundle/);
  await refused(`attach data --bundle ${out} --socket /v --read-only`, /--read-only is not for/);
});

test('volumes are followed by an agent that Ctrl-C detaches, and SIGTERM leaves attached', async (t) => {
  const { paris$, baton, directory } = await withOrders(t);
  const out = join(directory, 'bundle');
  worked(await paris$(`host enrol app9 --out ${out}`));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const done: string[] = [];
    const interrupt = new AbortController();
    const bridges: Bridges = {
      ...noBridges,
      follow: ({ volumes, directory: where, onChange }) => {
        const [name = ''] = volumes;
        const path = `${where}/${name}`;
        const why = 'writes may be missing';
        onChange({ name, path, state: 'closed', why, acceptance: 'p7' });
        setImmediate(() => interrupt.abort(signal));
        return Promise.resolve({
          askedToLeave: new Promise<void>(() => undefined),
          volumes: () => [{ name, path }],
          leave: async () => void done.push('left'),
        });
      },
      detachAll: async (state) => {
        done.push(`detached ${state}`);
        return [];
      },
    };
    const line = `attach data --bundle ${out} --socket /v --state /s`;
    const {
      code,
      out: told,
      err,
    } = await baton(line.split(' '), {
      bridges,
      interrupted: interrupt.signal,
    });

    assert.equal(code, 0, err);
    assert.equal(told, '/v/data\nCtrl-C detaches\n');
    assert.equal(
      err,
      'data: closed: writes may be missing; to go on with what there is: --accept p7\n',
    );
    assert.deepEqual(done, signal === 'SIGINT' ? ['left', 'detached /s'] : ['left']);
  }
});
