/** Has QEMU split an option at a comma only where one is written once. */
export function escaped(value: string): string {
  return value.replaceAll(',', ',,');
}

/**
 * The options of a storage daemon for a monitor on a unix socket.
 *
 * An *awaited* monitor has the daemon go on with its start once somebody has connected, so whoever
 * starts it, or finds it waiting, has to. The others listen at once; the thread that serves them
 * takes their socket over from the main loop, and until it has, a client that connects may find
 * both at it (QEMU 10.0): the daemon crashes, or never answers, in about one start of 2,500 on a
 * busy machine. So the first to connect does so to an awaited monitor.
 */
export function monitorOptions(
  id: string,
  path: string,
  { isAwaited }: { readonly isAwaited: boolean },
): readonly string[] {
  const socket = `socket,id=${id},path=${escaped(path)},server=on,wait=${isAwaited ? 'on' : 'off'}`;
  return ['--chardev', socket, '--monitor', `chardev=${id}`];
}
