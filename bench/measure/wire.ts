import { readFile, readlink } from 'node:fs/promises';

/**
 * Bytes that went through the loopback interface of this network namespace, both directions, TCP
 * and IP headers included. Both sites are on it, so it is the wire between them.
 *
 * @returns undefined where the namespace is the machine's: others' bytes would be counted
 */
export async function wireBytes(): Promise<number | undefined> {
  if (!(await isOwnNetwork())) return undefined;
  const lines = (await readFile('/proc/net/dev', 'utf8')).split('\n');
  const loopback = lines.find((line) => line.trim().startsWith('lo:'));
  // Received is what was sent: on this interface each packet is counted once in either column.
  const received = Number(loopback?.split(':')[1]?.trim().split(/\s+/)[0]);
  if (Number.isSafeInteger(received)) return received;
  throw new Error('/proc/net/dev names no loopback interface');
}

/** `scripts/bench` sets this when it made the namespace for us. */
async function isOwnNetwork(): Promise<boolean> {
  const before = process.env['BENCH_OUTER_NETWORK'];
  return before !== undefined && before !== (await readlink('/proc/self/ns/net'));
}
