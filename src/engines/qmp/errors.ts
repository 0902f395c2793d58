/** The daemon refused a command. Its words, and the class that QMP gives them. */
export class QmpError extends Error {
  override readonly name = 'QmpError';
  readonly command: string;
  readonly errorClass: string;
  readonly description: string;

  constructor(command: string, errorClass: string, description: string) {
    super(`${command}: ${description}`);
    this.command = command;
    this.errorClass = errorClass;
    this.description = description;
  }
}

/** No reply came in time. The command may still be carried out: never repeat it blindly. */
export class QmpTimeout extends Error {
  override readonly name = 'QmpTimeout';
  readonly command: string;

  constructor(command: string, limitMs: number) {
    super(`${command}: no reply within ${limitMs} ms`);
    this.command = command;
  }
}

/** The monitor is gone: the daemon ended, or the connection was closed. */
export class QmpClosed extends Error {
  override readonly name = 'QmpClosed';
}
