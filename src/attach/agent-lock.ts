/**
 * One agent for a directory: it listens on a socket there as long as it lives, and leaves when it is
 * asked to on it. A socket of a killed agent answers nobody and is replaced.
 */
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { BridgeRefused } from './bridge-refusal.ts';

const LOCK = 'agent.sock';

/**
 * @param onLeave called when somebody asks this agent to leave
 * @returns lets go of it
 * @throws BridgeRefused `agent_running`
 */
export async function lockAgent(
  directory: string,
  onLeave: () => void,
): Promise<() => Promise<void>> {
  const path = join(directory, LOCK);
  const other = await reach(path);
  if (other !== undefined) {
    other.destroy();
    throw new BridgeRefused(
      'agent_running',
      `An agent runs with ${directory}. End it first, or give this one another --state.`,
    );
  }
  await rm(path, { force: true });
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    clients.add(socket);
    socket.on('error', () => undefined).once('close', () => clients.delete(socket));
    socket.once('data', onLeave);
  });
  server.listen(path);
  await once(server, 'listening');
  return async () => {
    const closed = once(server, 'close');
    server.close();
    // Who asked knows by this that the agent has left.
    for (const client of clients) client.destroy();
    await closed;
  };
}

/** @returns false when no agent runs; else once it has left */
export async function askAgentToLeave(directory: string): Promise<boolean> {
  const socket = await reach(join(directory, LOCK));
  if (socket === undefined) return false;
  const closed = once(socket, 'close');
  socket.write('leave\n');
  socket.resume();
  await closed;
  return true;
}

function reach(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
