/**
 * The API is made of sets of objects that all have the same paths:
 *
 *   GET    /v1/<set>                   short rows        POST /v1/<set>                  create
 *   GET    /v1/<set>/detail            whole rows        POST /v1/<set>/<id>/actions/<a>
 *   GET    /v1/<set>/<id>              one
 *   PUT    /v1/<set>/<id>              update            DELETE /v1/<set>/<id>
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TObject } from 'typebox';
import type { App } from '../../app/app.ts';
import type { Caller } from '../../app/sign-in.ts';
import type { Need } from '../../domain/user.ts';
import { dataOf } from './bodies.ts';
import type { Data } from './bodies.ts';
import { callerOf } from '../callers.ts';
import { NimbleError } from './errors.ts';
import { isWireId } from './ids.ts';
import { list, only, readFields, readListing, refuseQueries } from './lists.ts';
import type { Row } from './lists.ts';
import { tokenOf } from './sign-in.ts';
import { checkData } from './validation.ts';

/** What an operation is asked with, beside its data. */
export interface Asked {
  readonly app: App;
  /** Absent where nobody has to sign in. */
  readonly caller: Caller | undefined;
  readonly token: string | undefined;
  /** The address that the request came from. */
  readonly from: string;
  /** The id in the path; empty where the path has none. */
  readonly id: string;
}

/** A change, and who may ask for it. */
export interface Operation<Answer> {
  readonly needs: Need | 'nothing';
  readonly schema: TObject;
  readonly run: (asked: Asked, data: Data) => Promise<Answer>;
}

export interface ObjectSet {
  /** As in the path. */
  readonly name: string;
  /** What a whole row has: what may be filtered, sorted and chosen by. */
  readonly attributes: readonly string[];
  /** What a short row has. */
  readonly brief: readonly string[];
  /** Who may look; everybody who is signed in unless told. */
  readonly looks?: Need;
  /** All objects, oldest first. */
  readonly rows: (asked: Asked) => Promise<readonly Row[]>;
  /** @returns the row to answer with; it may tell what is never told again */
  readonly create?: Operation<Row>;
  readonly update?: Operation<void>;
  readonly remove?: Operation<void>;
  readonly actions?: Readonly<Record<string, Operation<Row | undefined>>>;
}

/** Ties an operation's data to its schema. */
export function operation<S extends TObject, Answer>({
  needs,
  schema,
  run,
}: {
  readonly needs: Need | 'nothing';
  readonly schema: S;
  readonly run: (asked: Asked, data: Static<S>) => Promise<Answer>;
}): Operation<Answer> {
  return { needs, schema, run: (asked, data) => run(asked, checkData(schema, data)) };
}

export function mountObjectSet(http: FastifyInstance, app: App, set: ObjectSet): void {
  const path = `/v1/${set.name}`;
  const asked = (request: FastifyRequest): Asked => ({
    app,
    caller: callerOf(request),
    token: tokenOf(request),
    from: request.ip,
    id: idOf(request),
  });
  const one = async (request: FastifyRequest): Promise<Row> => {
    const all = await set.rows(asked(request));
    const id = idOf(request);
    return all.find((row) => row['id'] === id) ?? refuseUnknown(set.name, id);
  };
  const look = { config: { needs: set.looks ?? 'view' } };

  http.get(path, look, async (request, reply) => {
    const listing = readListing(request.url, set.attributes, { detailed: false });
    const answer = list(await set.rows(asked(request)), { ...listing, fields: set.brief });
    return answerList(reply, answer);
  });
  http.get(`${path}/detail`, look, async (request, reply) => {
    const listing = readListing(request.url, set.attributes, { detailed: true });
    return answerList(reply, list(await set.rows(asked(request)), listing));
  });
  http.get(`${path}/:id`, look, async (request) => {
    const fields = readFields(request.url, set.attributes);
    const row = await one(request);
    return { data: fields === undefined ? row : only(row, fields) };
  });
  if (set.create !== undefined) {
    const { needs, run } = set.create;
    http.post(path, { config: { needs } }, async (request, reply) => {
      refuseQueries(request.url);
      return reply.code(201).send({ data: await run(asked(request), dataOf(request.body)) });
    });
  }
  if (set.update !== undefined) {
    const { needs, run } = set.update;
    http.put(`${path}/:id`, { config: { needs } }, async (request) => {
      refuseQueries(request.url);
      await one(request);
      await run(asked(request), dataOf(request.body));
      return { data: await one(request) };
    });
  }
  if (set.remove !== undefined) {
    const { needs, run } = set.remove;
    http.delete(`${path}/:id`, { config: { needs } }, async (request) => {
      refuseQueries(request.url);
      await one(request);
      await run(asked(request), dataOf(request.body));
      return {};
    });
  }
  for (const [action, { needs, run }] of Object.entries(set.actions ?? {})) {
    http.post(`${path}/:id/actions/${action}`, { config: { needs } }, async (request) => {
      refuseQueries(request.url);
      idOf(request);
      const data = await run(asked(request), dataOf(request.body));
      return data === undefined ? {} : { data };
    });
  }
}

/** @throws NimbleError `SM_invalid_path_variable` */
function idOf({ params }: FastifyRequest): string {
  const { id } = params as { readonly id?: string };
  if (id === undefined) return '';
  if (isWireId(id)) return id.toLowerCase();
  const detail = `An id has 42 hex digits, '${id.slice(0, 64)}' has not.`;
  throw new NimbleError('SM_invalid_path_variable', detail, { variable: 'id' });
}

function refuseUnknown(set: string, id: string): never {
  throw new NimbleError('SM_enoent', `There is no ${id} in ${set}.`, { id });
}

function answerList(
  reply: FastifyReply,
  answer: { readonly data: readonly Row[]; readonly totalRows: number },
): FastifyReply {
  return reply.code(answer.data.length < answer.totalRows ? 206 : 200).send(answer);
}
