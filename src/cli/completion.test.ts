import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { noBridges } from '../../test/support/cli-world.ts';
import { buildProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

const run = promisify(execFile);

async function script(shell: string): Promise<string> {
  let out = '';
  const terminal: Terminal = {
    env: {},
    isInteractive: false,
    out: (text) => void (out += text),
    err: () => undefined,
    ask: () => Promise.resolve(''),
    askSecret: () => Promise.resolve(''),
    interrupted: new AbortController().signal,
  };
  await buildProgram({ terminal, bridges: noBridges }).parseAsync(['completion', shell], {
    from: 'user',
  });
  return out;
}

/** What bash offers after these words; the last one is being typed. */
async function offered(line: string): Promise<readonly string[]> {
  const words = line.split(' ').map((word) => `'${word}'`);
  const asked = `${await script('bash')}
COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}
_baton
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await run('bash', ['-c', asked]);
  return stdout.split('\n').filter((word) => word !== '');
}

test('bash offers nouns, then verbs, then options', async () => {
  assert.deepEqual(await offered('baton vol'), ['volume']);
  assert.deepEqual(await offered('baton volume cr'), ['create']);
  assert.deepEqual(await offered('baton volume create data1 --si'), ['--size', '--site']);
  assert.deepEqual(await offered('baton group handover orders --dry'), ['--dry-run']);
});

test('an option and its value stand in nobody’s way', async () => {
  assert.deepEqual(await offered('baton --pair ./p --at paris gro'), ['group']);
  assert.deepEqual(await offered('baton --at paris volume del'), ['delete']);
  assert.deepEqual(await offered('baton -o j'), ['json']);
  assert.ok((await offered('baton --ca /etc/host')).some((file) => file.startsWith('/etc/host')));
});

test('an argument does not count as a command', async () => {
  assert.deepEqual(await offered('baton volume show volume --out'), ['--output']);
});

test('bash finds no fault with the script', async () => {
  await run('bash', ['-n', '-c', await script('bash')]);
});

test('zsh and fish get the same words', async () => {
  const zsh = await script('zsh');
  assert.match(zsh, /\('group handover'\) list='--to --no-reverse --dry-run/);
  assert.match(zsh, /^compdef _baton baton$/m);
  const fish = await script('fish');
  assert.match(fish, /-a handover -d 'pass it to its peer with no write lost'/);
});
