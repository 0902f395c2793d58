declare const kind: unique symbol;

/** A branded identifier: a UUID that cannot be passed where another kind is wanted. */
type Id<Kind extends string> = string & { readonly [kind]: Kind };

export type SiteId = Id<'site'>;
export type VolumeId = Id<'volume'>;
export type GroupId = Id<'group'>;
export type PointId = Id<'recovery_point'>;
export type SessionId = Id<'replication_session'>;
export type SagaId = Id<'saga'>;
export type HostId = Id<'host'>;
export type ForkId = Id<'fork'>;
export type CopyId = Id<'copy'>;
export type DrillId = Id<'drill'>;
/** Of one mirror and of the standby that it fills: another attempt is another mirror. */
export type MirrorId = Id<'mirror'>;
export type ImportId = Id<'import_session'>;
export type SourceId = Id<'import_source'>;
export type UserId = Id<'user'>;
export type PolicyId = Id<'protection_policy'>;
export type RuleId = Id<'replication_rule'>;
export type SignInId = Id<'sign_in'>;
export type PairId = Id<'volume_pair'>;
export type HistoryId = Id<'history'>;

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Instant = number;

/** A new random identifier of the kind that the caller names by its type. */
export function newId<T extends Id<string>>(): T {
  return crypto.randomUUID() as T;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function isId(text: string): boolean {
  return uuid.test(text);
}
