import type { Group } from '../../domain/group.ts';
import type { RecoveryPoint } from '../../domain/recovery-point.ts';
import { remarkedText } from './schemas.ts';

/** What a client named it, or as the vendor names what a schedule takes: by when it was. */
export function pointName({ name }: Pick<Group, 'name'>, point: RecoveryPoint): string {
  const [day = '', time = ''] = new Date(point.sealedAt).toISOString().replace('Z', '').split('T');
  return remarkedText(point.remarks, 'name', `${name}-${point.sequence}-${day}::${time}`);
}
