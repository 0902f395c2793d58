/** The server's error numbers, as the NBD protocol fixes them. */
const errnoNames: ReadonlyMap<number, string> = new Map([
  [1, 'EPERM'],
  [5, 'EIO'],
  [12, 'ENOMEM'],
  [22, 'EINVAL'],
  [28, 'ENOSPC'],
  [75, 'EOVERFLOW'],
  [95, 'ENOTSUP'],
  [108, 'ESHUTDOWN'],
]);

/** Why no export could be opened. The operator's sentence is the error's message. */
export type NbdRefusal =
  | 'unreachable'
  | 'timed_out'
  | 'tls_required'
  | 'tls_not_offered'
  | 'server_not_trusted'
  | 'client_refused'
  | 'no_such_export'
  | 'refused'
  | 'not_nbd';

/** No session was made: nothing was sent to an export. */
export class NbdRefused extends Error {
  override readonly name = 'NbdRefused';
  readonly code: NbdRefusal;

  constructor(code: NbdRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The server answered one request with an error. The connection goes on. */
export class NbdError extends Error {
  override readonly name = 'NbdError';
  /** The name of the error number, such as `EIO`; `E` and the number where it has no name. */
  readonly code: string;

  constructor(errno: number, request: string, serverSays: string) {
    const code = errnoNames.get(errno) ?? `E${errno}`;
    super(`${request}: ${code}${serverSays === '' ? '' : ` (${serverSays})`}`);
    this.code = code;
  }
}

/**
 * The connection went away. What was acknowledged before is done; whether this request was
 * carried out is not known.
 */
export class NbdConnectionLost extends Error {
  override readonly name = 'NbdConnectionLost';
}
