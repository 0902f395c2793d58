/**
 * The vendor's error codes that this dialect says, with their HTTP status. Clients go by the status;
 * of the codes they know a few, and those are the vendor's own. Where no number is published the
 * code is one of ours in the vendor's family for it: docs/dialects/powerstore.md tells which.
 */
export const codes = {
  // The REST layer.
  internal: [500, '0xE04040010001'],
  try_again: [503, '0xE04040010002'],
  invalid_request: [400, '0xE04040010005'],
  no_such_path: [404, '0xE04040020001'],
  malformed_url: [400, '0xE04040020002'],
  method_not_allowed: [405, '0xE04040020003'],
  not_acceptable: [406, '0xE04040020004'],
  unsupported_media_type: [415, '0xE04040020005'],
  range_not_satisfiable: [416, '0xE04040020006'],
  unknown_query_parameter: [400, '0xE04040020008'],
  no_such_instance: [404, '0xE04040020009'],
  invalid_body: [400, '0xE04040030001'],
  unknown_attribute: [400, '0xE0404003000A'],
  not_offered: [422, '0xE04040040001'],
  // Who asks.
  unauthenticated: [401, '0xE09040010001'],
  forbidden: [403, '0xE09040010002'],
  session_unknown: [403, '0xE09040010003'],
  // Volumes, groups, hosts.
  volume_not_found: [404, '0xE0A07001000C'],
  volume_exists: [422, '0xE0A070010002'],
  volume_failed: [422, '0xE0A070010003'],
  name_exists: [400, '0xE0A060010002'],
  not_a_member: [422, '0xE0A060010005'],
  not_mapped: [400, '0xE0A08001000E'],
  not_mapped_to_host: [422, '0xE0A08001000F'],
  // Policies and rules.
  policy_not_found: [404, '0xE0A090010001'],
  policy_exists: [400, '0xE02020010004'],
  rule_not_in_policy: [404, '0xE02020010007'],
  policy_failed: [422, '0xE02020010001'],
  policy_invalid: [400, '0xE02020010002'],
  snapshot_rule_not_found: [404, '0xE0203001000B'],
  // Replication.
  session_failed: [422, '0xE02010050001'],
  planned_at_destination: [400, '0xE02010050002'],
  already_failed_over: [422, '0xE0201005000C'],
  remote_system_failed: [422, '0xE02010020001'],
  // Imports.
  import_failed: [422, '0xE02040010001'],
} as const satisfies Readonly<Record<string, readonly [status: number, code: string]>>;

export type Code = keyof typeof codes;
