import { connect, type Socket } from 'node:net';
import { QmpClosed, QmpError, QmpTimeout } from './errors.ts';
import { isFields, optionalFields, optionalText, type Fields } from './fields.ts';

/** Every command is answered at once, or starts a job; what takes longer names its own limit. */
export const REPLY_LIMIT_MS = 5_000;

/** The daemon talks more than this without a line end: it is not a monitor. */
const LINE_LIMIT_CHARACTERS = 64 * 1024 * 1024;

export type QmpPhase = 'connecting' | 'greeting' | 'running' | 'closed';

interface Waiting {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: Error) => void;
}

/**
 * One monitor of one daemon.
 *
 *   connecting ──▶ greeting (capabilities) ──▶ running ──▶ closed
 *
 * Replies are matched by id, so commands may be sent without waiting; the daemon carries them
 * out in order. Events only wake: what happened is asked for, since events are lost while nobody
 * is connected and come in thousands when a link fails.
 */
export class QmpClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, Waiting>();
  readonly #sleepers = new Set<() => void>();
  #phase: QmpPhase = 'connecting';
  #nextId = 1;
  #pieces: string[] = [];
  #heldCharacters = 0;
  #eventCount = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** @throws QmpClosed when nobody listens there; QmpTimeout when somebody else holds the monitor */
  static async connect(path: string, limitMs: number = REPLY_LIMIT_MS): Promise<QmpClient> {
    const socket = connect(path);
    const client = new QmpClient(socket);
    socket.setEncoding('utf8');
    const greeted = client.#expect('greeting', 'greeting', limitMs);
    socket.on('connect', () => (client.#phase = 'greeting'));
    socket.on('data', (text: string) => client.#onText(text));
    socket.on('error', (cause) =>
      client.#end(new QmpClosed(`${path}: ${cause.message}`, { cause })),
    );
    socket.on('close', () => client.#end(new QmpClosed(`${path}: the monitor was closed`)));
    try {
      await greeted;
      await client.#send('qmp_capabilities', {}, limitMs);
      client.#phase = 'running';
      return client;
    } catch (cause) {
      client.close();
      throw cause;
    }
  }

  get phase(): QmpPhase {
    return this.#phase;
  }

  /** Grows with each event. Read it before a query, and hand it to `nextEventOrTimeout`. */
  get eventCount(): number {
    return this.#eventCount;
  }

  /**
   * @throws QmpError when the daemon refuses
   * @throws QmpTimeout when no reply came; it may still be carried out
   * @throws QmpClosed when the monitor is gone; it may have been carried out
   */
  execute(command: string, args: Fields = {}, limitMs: number = REPLY_LIMIT_MS): Promise<unknown> {
    if (this.#phase !== 'running') {
      return Promise.reject(new QmpClosed(`${command}: the monitor is ${this.#phase}`));
    }
    return this.#send(command, args, limitMs);
  }

  /** Resolves at once when an event came since `seen`, else with the next one, or after `ms`. */
  nextEventOrTimeout(seen: number, ms: number): Promise<void> {
    if (this.#eventCount !== seen || this.#phase === 'closed') return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#sleepers.add(wake);
    });
  }

  close(): void {
    this.#end(new QmpClosed('the monitor was let go'));
    this.#socket.destroy();
  }

  #send(command: string, args: Fields, limitMs: number): Promise<unknown> {
    const id = `c${this.#nextId++}`;
    const reply = this.#expect(id, command, limitMs);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    return reply;
  }

  #expect(id: string, command: string, limitMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // A late reply finds nobody, and is dropped.
        this.#waiting.delete(id);
        reject(new QmpTimeout(command, limitMs));
      }, limitMs);
      this.#waiting.set(id, {
        command,
        resolve: (value) => (clearTimeout(timer), resolve(value)),
        reject: (reason) => (clearTimeout(timer), reject(reason)),
      });
    });
  }

  #onText(text: string): void {
    let rest = text;
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = this.#pieces.join('') + rest.slice(0, end);
      this.#pieces = [];
      this.#heldCharacters = 0;
      rest = rest.slice(end + 1);
      this.#onLine(line);
    }
    if (rest === '') return;
    this.#pieces.push(rest);
    this.#heldCharacters += rest.length;
    if (this.#heldCharacters > LINE_LIMIT_CHARACTERS) this.close();
  }

  #onLine(line: string): void {
    const message = parseLine(line);
    if (!isFields(message)) return this.#end(new QmpClosed(`not QMP: ${line.slice(0, 80)}`));
    if (message['event'] !== undefined) return this.#onEvent();
    const id = message['QMP'] === undefined ? (optionalText(message, 'id') ?? '') : 'greeting';
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    const error = optionalFields(message, 'error');
    if (!error) return waiting?.resolve(message['return']);
    const errorClass = optionalText(error, 'class') ?? 'GenericError';
    const description = optionalText(error, 'desc') ?? 'refused without a word';
    waiting?.reject(new QmpError(waiting.command, errorClass, description));
  }

  #onEvent(): void {
    this.#eventCount += 1;
    for (const wake of [...this.#sleepers]) wake();
  }

  #end(reason: QmpClosed): void {
    if (this.#phase === 'closed') return;
    this.#phase = 'closed';
    for (const waiting of this.#waiting.values()) waiting.reject(reason);
    this.#waiting.clear();
    for (const wake of [...this.#sleepers]) wake();
  }
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
