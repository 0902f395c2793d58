/** What is behind an iSCSI portal: its targets, and the disks of those that let us in. */
import { withSession } from './session.ts';
import type { IscsiSession, Portal } from './session.ts';

export interface FoundLun {
  readonly target: string;
  readonly lun: number;
  /** Undefined when the target does not tell. */
  readonly sizeBytes: number | undefined;
}

const MAX_TARGETS = 256;
const MAX_LUNS = 256;
const LUN_BYTES = 8;
const LIST_HEADER_BYTES = 8;
const INQUIRY_BYTES = 36;
const CAPACITY_BYTES = 32;

/**
 * Asks a portal for its targets and each target for its disks. One that lets us not in, or does not
 * answer, takes nothing from what the others have.
 *
 * @param onFailure hears of each such target
 * @throws LoginRefused when there are targets and none lets us in; Error when the portal does not
 *   answer, or none of its targets
 */
export async function discoverLuns(
  portal: Portal,
  onFailure: (target: string, cause: unknown) => void,
): Promise<readonly FoundLun[]> {
  const told = await withSession(portal, undefined, (s) => s.text({ SendTargets: 'All' }));
  const names = told.filter(([key]) => key === 'TargetName').map(([, name]) => name);
  const targets = [...new Set(names)].slice(0, MAX_TARGETS);
  const found: FoundLun[] = [];
  const failed: unknown[] = [];
  for (const target of targets) {
    try {
      found.push(...(await withSession(portal, target, (session) => listLuns(session, target))));
    } catch (error) {
      failed.push(error);
      onFailure(target, error);
    }
  }
  if (targets.length > 0 && failed.length === targets.length) throw failed[0];
  return found;
}

async function listLuns(session: IscsiSession, target: string): Promise<readonly FoundLun[]> {
  const luns: FoundLun[] = [];
  for (const address of await reportLuns(session)) {
    const lun = numberOf(address);
    if (lun === undefined || !(await isDisk(session, address))) continue;
    luns.push({ target, lun, sizeBytes: await capacity(session, address) });
  }
  return luns;
}

/** SPC-4, 6.33 */
async function reportLuns(session: IscsiSession): Promise<readonly Buffer[]> {
  const lengthBytes = LIST_HEADER_BYTES + MAX_LUNS * LUN_BYTES;
  const command = Buffer.alloc(16);
  command.writeUInt8(0xa0, 0);
  command.writeUInt32BE(lengthBytes, 6);
  const list = await session.command(Buffer.alloc(LUN_BYTES), command, lengthBytes);
  const count = Math.floor(Math.max(0, (list?.length ?? 0) - LIST_HEADER_BYTES) / LUN_BYTES);
  return Array.from({ length: count }, (_, index) => {
    const at = LIST_HEADER_BYTES + index * LUN_BYTES;
    return Buffer.from(list?.subarray(at, at + LUN_BYTES) ?? []);
  });
}

/** SAM-5, 4.7: peripheral or flat addresses; undefined for those of several levels. */
function numberOf(address: Buffer): number | undefined {
  const [method, first] = [address.readUInt8(0) >> 6, address.readUInt16BE(0)];
  if (address.readUIntBE(2, 6) !== 0 || method > 1) return undefined;
  return method === 0 && first > 0xff ? undefined : first & 0x3fff;
}

/** SPC-4, 6.6: connected, and of type 0. */
async function isDisk(session: IscsiSession, address: Buffer): Promise<boolean> {
  const command = Buffer.alloc(16);
  command.writeUInt8(0x12, 0);
  command.writeUInt16BE(INQUIRY_BYTES, 3);
  const told = await session.command(address, command, INQUIRY_BYTES);
  return told !== undefined && told.length > 0 && told.readUInt8(0) === 0;
}

/** SBC-3, 5.16: the last block's number, and the size of a block. */
async function capacity(session: IscsiSession, address: Buffer): Promise<number | undefined> {
  const command = Buffer.alloc(16);
  command.writeUInt8(0x9e, 0);
  command.writeUInt8(0x10, 1);
  command.writeUInt32BE(CAPACITY_BYTES, 10);
  const told = await session.command(address, command, CAPACITY_BYTES);
  if (told === undefined || told.length < 12) return undefined;
  const sizeBytes = (Number(told.readBigUInt64BE(0)) + 1) * told.readUInt32BE(8);
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : undefined;
}
