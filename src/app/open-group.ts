import type { GroupId } from '../domain/ids.ts';
import { openGroup } from '../sagas/operation.ts';
import type { AppPorts } from './app-ports.ts';

/** Opens a group that this site holds to its hosts, whatever its data plane has been through. */
export function openHeldGroup(
  ports: Pick<AppPorts, 'store' | 'engine' | 'here' | 'gate' | 'clock'>,
  groupId: GroupId,
): Promise<void> {
  return openGroup(ports, groupId);
}
