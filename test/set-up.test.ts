import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { type TestContext } from 'node:test';

const SCRIPTS = resolve(import.meta.dirname, '../scripts');
const NOBODY = 65_534;

function scratchFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'baton-set-up-'));
  chmodSync(folder, 0o755);
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function backportsOf(t: TestContext, name: string, content: string): string | undefined {
  const file = join(scratchFolder(t), name);
  writeFileSync(file, content);
  const script = join(SCRIPTS, 'backports-source');
  const { status, stdout } = spawnSync(script, ['-v', 'release=bookworm', file]);
  return status === 0 ? stdout.toString() : undefined;
}

test('backports come from the mirror and with the key of a one-line entry', (t) => {
  const found = backportsOf(
    t,
    'sources.list',
    `deb cdrom:[Debian]/ bookworm main
# deb http://commented.example/debian bookworm main
deb-src http://sources.example/debian bookworm main
deb http://security.example/debian-security bookworm-security main
deb [ arch=amd64,arm64 signed-by=/keys/debian.gpg ] http://mirror.example/debian bookworm main
`,
  );

  assert.equal(
    found,
    `Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Architectures: amd64 arm64
Signed-By: /keys/debian.gpg
`,
  );
});

test('backports come from the mirror and with the key of a deb822 stanza', (t) => {
  const found = backportsOf(
    t,
    'debian.sources',
    `Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm

# The one in use.
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
`,
  );

  assert.equal(
    found,
    `Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
`,
  );
});

test('no backports are made up where no source serves the release', (t) => {
  const found = backportsOf(t, 'other.list', 'deb http://mirror.example/debian trixie main\n');

  assert.equal(found, undefined);
});

test('a user who is not root is told what to run, and nothing is changed', (t) => {
  const folder = scratchFolder(t);
  cpSync(SCRIPTS, join(folder, 'scripts'), { recursive: true });
  const changed = join(folder, 'changed');
  const commands = join(folder, 'bin');
  mkdirSync(commands);
  const answers = {
    'qemu-storage-daemon': 'echo "qemu-storage-daemon version 7.2.22 (Debian 1:7.2+dfsg-7)"',
    'apt-cache': 'echo "  Candidate: 1:10.0.2+ds-2"',
    'apt-get': `touch ${changed}`,
    npm: `touch ${changed}`,
  };
  for (const [name, answer] of Object.entries(answers)) {
    writeFileSync(join(commands, name), `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
  }

  const { status, stderr } = spawnSync(join(folder, 'scripts/set-up'), {
    env: { PATH: `${commands}:${process.env['PATH']}` },
    ...(process.getuid?.() === 0 && { uid: NOBODY, gid: NOBODY }),
  });

  assert.equal(status, 1);
  assert.match(stderr.toString(), /qemu-storage-daemon 7\.2\.22 at .* is too old, wanted 8\.2/);
  assert.match(stderr.toString(), /^sudo apt-get install .*qemu-utils qemu-block-extra$/m);
  assert.equal(existsSync(changed), false);
});
