/**
 * The vendor's codes that this dialect says, with their HTTP status and text. Clients look for
 * pieces of the texts, so the vendor's own ones are kept to the letter.
 */
export const codes = {
  SM_malformed_url: [400, 'The URL is malformed.'],
  SM_invalid_path_variable: [400, 'Invalid path variable in the URL.'],
  SM_unexpected_query_param: [400, 'Unexpected query parameter in the request.'],
  SM_invalid_query_param: [400, 'Invalid query parameter in the request.'],
  SM_missing_arg: [400, 'Missing the argument in the request.'],
  SM_unexpected_arg: [400, 'Unexpected argument in the request.'],
  SM_unexpected_child: [400, 'Unexpected child in the request.'],
  SM_invalid_arg_value: [400, 'Invalid argument value in the request.'],
  SM_einval: [400, 'Invalid argument.'],
  SM_no_support: [400, 'Operation is not supported.'],
  SM_start_row_beyond_end_row: [400, 'Start row is beyond end row.'],
  SM_start_row_beyond_total_rows: [200, 'Start row is beyond total rows.'],
  SM_too_large_page_size: [206, 'Page size is too large.'],
  SM_unauthorized: [401, 'Unauthorized access.'],
  SM_eacces: [403, 'Permission denied.'],
  SM_version_name: [404, 'The version name in the URL is unknown.'],
  SM_no_path_found: [404, 'No such path.'],
  SM_no_method_for_URL_pattern: [404, 'The method is not offered for this URL pattern.'],
  SM_no_operation_found: [404, 'The object set does not have this operation.'],
  SM_no_action_found: [404, 'The object set does not have this action.'],
  SM_enoent: [404, 'No such object.'],
  SM_eperm: [409, 'Operation not permitted.'],
  SM_no_such_partner: [404, 'No such replication partner.'],
  SM_not_owner: [404, 'This group is not the owner of the object.'],
  SM_repl_no_partner_avail: [404, 'No replication partner is available.'],
  SM_ebusy: [409, 'Device or resource busy.'],
  SM_ealready: [409, 'Object is already in requested state.'],
  SM_no_assoc_vols: [409, 'The volume collection has no associated volumes.'],
  SM_partner_offline: [409, 'The replication partner is offline.'],
  SM_repl_handover_busy: [409, 'A handover of the volume collection is in progress.'],
  SM_err_vol_coll_multiple_schedules: [409, 'The volume collection has a schedule already.'],
  SM_limit_snap_retention_volcoll: [409, 'The limit of retained snapshots is exceeded.'],
  SM_nospace: [409, 'No space left.'],
  SM_vol_assoc_volcoll: [409, 'The volume is associated with a volume collection.'],
  SM_vol_not_offline: [409, 'The volume is not offline.'],
  SM_vol_size_decreased: [
    409,
    'The new size is smaller than the present one; use force option to proceed.',
  ],
  SM_eexist: [409, 'Object exists.'],
  SM_too_many: [409, 'Too many objects.'],
  SM_eagain: [503, 'Try again.'],
  SM_repl_cant_connect: [500, 'Cannot connect to the replication partner.'],
  SM_internal: [500, 'Internal error.'],
} as const satisfies Readonly<Record<string, readonly [status: number, text: string]>>;

export type Code = keyof typeof codes;

/** The first message of every "no" names the HTTP status. */
export const protocolCodes: Readonly<Record<number, readonly [code: string, text: string]>> = {
  200: ['SM_http_ok', 'The request was successful.'],
  206: ['SM_http_partial_content', 'The request was partially successful.'],
  400: ['SM_http_bad_request', 'The request could not be understood by the server.'],
  401: ['SM_http_unauthorized', 'Unauthorized.'],
  403: ['SM_http_forbidden', 'The request is forbidden.'],
  404: ['SM_http_not_found', 'The requested resource could not be found.'],
  409: ['SM_http_conflict', 'The request could not be completed due to a conflict.'],
  500: ['SM_http_internal_server_error', 'The server met an unexpected condition.'],
  503: ['SM_http_service_unavailable', 'The server is currently unable to handle the request.'],
};
