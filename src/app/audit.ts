import { newId } from '../domain/ids.ts';
import type { AuditEntry } from '../domain/audit.ts';
import type { AppPorts } from './app-ports.ts';

export type AuditLine = Omit<AuditEntry, 'id' | 'at'>;

/** Writes down who asked for which change, and what came of it. Never passwords or tokens. */
export async function recordAudit(
  { store, clock }: Pick<AppPorts, 'store' | 'clock'>,
  line: AuditLine,
): Promise<void> {
  await store.transaction((tx) => tx.audit.insert({ ...line, id: newId(), at: clock.now() }));
}
