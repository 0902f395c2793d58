/**
 * Resources all have the same paths:
 *
 *   GET    /api/rest/<type>              a list          POST /api/rest/<type>              create
 *   GET    /api/rest/<type>/<id>         one             POST /api/rest/<type>/<id>/<action>
 *   PATCH  /api/rest/<type>/<id>         modify          POST /api/rest/<type>/<action>
 *   DELETE /api/rest/<type>/<id>
 *
 * A change answers when it is done, or with `is_async=true` at once, with a job.
 */
import { setTimeout as passes } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Static, TObject } from 'typebox';
import type { App } from '../../app/app.ts';
import type { SagaId } from '../../domain/ids.ts';
import { Failure } from '../../domain/refusal.ts';
import { hasEnded } from '../../domain/saga-record.ts';
import type { Need } from '../../domain/user.ts';
import { callerName } from '../callers.ts';
import { bodyOf } from './bodies.ts';
import type { Body } from './bodies.ts';
import { errorOfJob } from './job-errors.ts';
import { readIsAsync, readListing, takePart } from './lists.ts';
import { BASE } from './paths.ts';
import { checkSelection, findRow, hasAttribute, look, show } from './resource-types.ts';
import type { ResourceType } from './resource-types.ts';
import type { Json } from './schemas.ts';
import { checkBody } from './validation.ts';
import { worldOf } from './world.ts';
import type { World } from './world.ts';

/** Who waits for a change is answered after this long at the latest; it goes on then. */
const ANSWER_LIMIT_MS = 60_000;

/** What an operation is asked with, beside its body. */
export interface Asked {
  readonly app: App;
  readonly world: World;
  /** In the path: an id, or `name:` and a name. Empty where the path has none. */
  readonly reference: string;
  /** Who asks. */
  readonly by: string;
  /** Waits for the end of a job on which the rest of the request depends. */
  readonly done: (jobId: SagaId) => Promise<void>;
}

export interface Outcome {
  /** What goes on and has to end before the answer is true. */
  readonly jobId?: SagaId | undefined;
  /** What goes on after the answer. */
  readonly startedJobId?: SagaId;
  /** What the answer holds; a 204 without. */
  readonly answer?: Json;
}

/** A change, and who may ask for it. */
export interface Operation {
  readonly needs: Need;
  readonly schema: TObject;
  readonly run: (asked: Asked, body: Body) => Promise<Outcome>;
}

export interface Resource {
  readonly type: ResourceType;
  readonly create?: Operation;
  readonly modify?: Operation;
  readonly remove?: Operation;
  /** Of one instance. */
  readonly actions?: Readonly<Record<string, Operation>>;
  /** Of the type. */
  readonly typeActions?: Readonly<Record<string, Operation>>;
}

/** Ties an operation's body to its schema. */
export function operation<S extends TObject>({
  needs,
  schema,
  run,
}: {
  readonly needs: Need;
  readonly schema: S;
  readonly run: (asked: Asked, body: Static<S>) => Promise<Outcome>;
}): Operation {
  return { needs, schema, run: (asked, body) => run(asked, checkBody(schema, body)) };
}

/** Remembers the changes that are over when they are answered, for who asked not to wait. */
export type NoteDone = (what: {
  readonly type: string;
  readonly action: string;
  readonly id: string;
  readonly by: string;
}) => string;

export function mountResources(
  http: FastifyInstance,
  app: App,
  resources: readonly Resource[],
  noteDone: NoteDone,
): void {
  const types = new Map(resources.map(({ type }) => [type.name, type]));
  for (const resource of resources) {
    mountQueries(http, app, types, resource.type);
    mountChanges(http, app, resource, noteDone);
  }
}

function mountQueries(
  http: FastifyInstance,
  app: App,
  types: ReadonlyMap<string, ResourceType>,
  type: ResourceType,
): void {
  const path = `${BASE}/${type.name}`;
  const config = { needs: 'view' } as const;
  const listing = (request: FastifyRequest) => {
    const has = (attribute: string): boolean => hasAttribute(type, attribute);
    const read = readListing(request.url, rangeOf(request), has, type.name);
    checkSelection(types, type, read.selection);
    return read;
  };

  http.get(path, { config }, async (request, reply) => {
    const read = listing(request);
    const world = worldOf(app, addressOf(request));
    const all = await type.rows(world);
    const whole = type.isSimple ? { ...read, offset: 0, limit: all.length } : read;
    const { rows, first, total } = takePart(all, whole, (row, name) => look(type, row, name));
    const shown = await Promise.all(
      rows.map((row) => show(types, world, type, row, read.selection)),
    );
    if (rows.length < total) {
      reply.code(206).header('content-range', `${first}-${first + rows.length - 1}/${total}`);
    }
    return shown;
  });

  http.get(`${path}/:id`, { config }, async (request) => {
    const { selection } = listing(request);
    const world = worldOf(app, addressOf(request));
    const row = await findRow(type, world, referenceIn(request));
    return show(types, world, type, row, selection);
  });
}

function mountChanges(
  http: FastifyInstance,
  app: App,
  { type, create, modify, remove, actions = {}, typeActions = {} }: Resource,
  noteDone: NoteDone,
): void {
  const path = `${BASE}/${type.name}`;
  const mount = (
    method: 'POST' | 'PATCH' | 'DELETE',
    url: string,
    action: string,
    { needs, run }: Operation,
    status: 200 | 201,
  ): void => {
    http.route({
      method,
      url,
      config: { needs },
      handler: async (request, reply) => {
        const isAsync = readIsAsync(request.url);
        const asked = askedBy(request, app);
        const { jobId, startedJobId, answer } = await run(asked, bodyOf(request.body));
        if (isAsync) {
          const { reference: id, by } = asked;
          const done = { type: type.name, action, id, by };
          return reply.code(202).send({ id: jobId ?? startedJobId ?? noteDone(done) });
        }
        if (jobId !== undefined) await waitFor(app, jobId);
        return answer === undefined ? reply.code(204).send() : reply.code(status).send(answer);
      },
    });
  };
  if (create !== undefined) mount('POST', path, 'create', create, 201);
  for (const [name, action] of Object.entries(typeActions)) {
    mount('POST', `${path}/${name}`, name, action, 200);
  }
  if (modify !== undefined) mount('PATCH', `${path}/:id`, 'modify', modify, 200);
  if (remove !== undefined) mount('DELETE', `${path}/:id`, 'delete', remove, 200);
  for (const [name, action] of Object.entries(actions)) {
    mount('POST', `${path}/:id/${name}`, name, action, 200);
  }
}

function askedBy(request: FastifyRequest, app: App): Asked {
  return {
    app,
    world: worldOf(app, addressOf(request)),
    reference: referenceIn(request),
    by: callerName(request),
    done: (jobId) => waitFor(app, jobId),
  };
}

/**
 * Waits until a job has ended, but not for ever.
 *
 * @throws PowerStoreError, Failure when it did not come to what was asked
 */
async function waitFor(app: App, jobId: SagaId): Promise<void> {
  const enough = new AbortController();
  const passed = passes(ANSWER_LIMIT_MS, undefined, { signal: enough.signal, ref: false });
  const ended = app.endOfJob(jobId);
  await Promise.race([ended, passed.catch(() => undefined)]);
  enough.abort();
  // Who stopped waiting does not hear of what becomes of it.
  ended.catch(() => undefined);
  const job = await app.showJob(jobId);
  if (!hasEnded(job)) return;
  const error = errorOfJob(job);
  if (error === undefined) return;
  throw error.code === 'try_again' ? new Failure(error.message) : error;
}

function referenceIn({ params }: FastifyRequest): string {
  const { id = '' } = params as { readonly id?: string };
  return id;
}

function rangeOf({ headers }: FastifyRequest): string | undefined {
  return headers.range;
}

/** Requests that did not come over the network, as in tests, have no address. */
function addressOf({ socket }: FastifyRequest): string {
  return socket.localAddress ?? '127.0.0.1';
}
