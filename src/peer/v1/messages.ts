/**
 * The site-to-site protocol, version 1. Released messages never change: `messages.test.ts` holds
 * their hash, and a change is a new folder beside this one.
 *
 * Each message is a POST to /peer/v1/<name> with a JSON body; the answer is JSON. A refusal is
 * 409 with `{ "reason": … }`. Absent members mean "none"; unknown ones are refused.
 */
import { Type } from 'typebox';
import type { TSchema } from 'typebox';

const Id = Type.String({ format: 'uuid' });
const Name = Type.String({ minLength: 1, maxLength: 64 });
const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Instant = Type.Integer({ minimum: 0 });
const Epoch = Type.Integer({ minimum: 1 });

const closed = <T extends Record<string, TSchema>>(members: T): ReturnType<typeof Type.Object<T>> =>
  Type.Object(members, { additionalProperties: false });

const Ownership = closed({
  holder: Id,
  epoch: Epoch,
  forced: Type.Boolean(),
  provisional: Type.Optional(Type.Boolean()),
  history: closed({ id: Id, pointId: Type.Optional(Id) }),
});

const GroupBeat = closed({
  groupId: Id,
  ownership: Ownership,
  operation: Type.Optional(Id),
  instance: Type.Optional(Type.String()),
  dataPlane: Type.Union([Type.Literal('stopped'), Type.Literal('running'), Type.Literal('hung')]),
  sync: Type.Optional(
    closed({
      mirrorId: Id,
      completeUpTo: Type.Optional(Instant),
      condition: Type.Union([
        Type.Literal('catching_up'),
        Type.Literal('in_sync'),
        Type.Literal('fractured'),
      ]),
      holds: Type.Optional(Type.Boolean()),
    }),
  ),
});

const Beat = closed({ siteId: Id, at: Instant, groups: Type.Array(GroupBeat) });

/** What people say about a thing. */
const Words = Type.String({ maxLength: 1024 });

const newStandIn = { pairId: Id, volumeId: Id, siteId: Id, name: Words, description: Words };
const StandIn = closed({ ...newStandIn, homeId: Id, createdAt: Instant });

const OfferedVolume = closed({
  id: Id,
  name: Name,
  serial: Type.String(),
  sizeBytes: Bytes,
  standIn: Type.Optional(StandIn),
  createdAt: Instant,
});

const OfferedPolicy = closed({
  id: Id,
  name: Name,
  description: Type.String({ maxLength: 256 }),
  rule: closed({
    id: Id,
    name: Name,
    rpoSeconds: Type.Integer({ minimum: 1 }),
    alertThresholdMinutes: Type.Integer({ minimum: 0 }),
  }),
});

const GroupOffer = closed({
  groupId: Id,
  name: Name,
  description: Type.Optional(Words),
  implicit: Type.Boolean(),
  ownership: Ownership,
  hosts: Type.Array(Name),
  volumes: Type.Array(OfferedVolume),
  policy: Type.Optional(OfferedPolicy),
  createdAt: Instant,
  session: closed({
    id: Id,
    rpoSeconds: Type.Integer({ minimum: 1 }),
    bytesPerSecond: Type.Optional(Bytes),
    retainedPoints: Type.Integer({ minimum: 1 }),
    line: Type.Integer({ minimum: 1 }),
    sync: Type.Optional(closed({ stallSeconds: Type.Integer({ minimum: 1 }) })),
    createdAt: Instant,
  }),
});

const PointVolume = closed({ volumeId: Id, name: Name, sizeBytes: Bytes });
const Exports = Type.Array(closed({ volumeId: Id, exportName: Type.String() }));
const Target = closed({
  host: Type.String(),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  tlsName: Type.String(),
  instance: Type.String(),
  exports: Exports,
});
const Nothing = closed({});

const Fork = closed({
  id: Id,
  groupId: Id,
  name: Type.String({ minLength: 1, maxLength: 128 }),
  siteId: Id,
  basePointId: Id,
  origin: Type.Union([
    Type.Literal('failover'),
    Type.Literal('failover_test'),
    Type.Literal('restore'),
    Type.Literal('undo'),
    Type.Literal('rollback'),
  ]),
  allocatedBytes: Bytes,
  setAsideAt: Instant,
  expiresAt: Instant,
});

const HistoryAside = closed({ basePointId: Id, forkId: Type.Optional(Id) });

const HeldVolume = closed({
  id: Id,
  name: Name,
  sizeBytes: Bytes,
  state: Type.Enum(['creating', 'importing', 'ready', 'deleting']),
  standIn: Type.Optional(StandIn),
  createdAt: Instant,
});

const HeldGroup = closed({
  id: Id,
  name: Name,
  description: Words,
  implicit: Type.Boolean(),
  ownership: Ownership,
  hosts: Type.Array(Name),
  volumes: Type.Array(HeldVolume),
  operation: Type.Optional(Type.String()),
  undoneMove: Type.Optional(Type.Enum(['handover', 'failover'])),
  session: Type.Optional(
    closed({
      id: Id,
      peerId: Id,
      state: Type.String(),
      stateSince: Instant,
      dataCondition: Type.Optional(Type.Enum(['catching_up', 'in_sync', 'fractured'])),
      newestPointAt: Type.Optional(Instant),
      progressPercent: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
    }),
  ),
  createdAt: Instant,
});

const ofGroup = <Verb extends string>(verb: Verb) =>
  closed({ verb: Type.Literal(verb), groupId: Id });
const Ids = Type.Array(Id, { maxItems: 256 });

const Errand = Type.Union([
  closed({ verb: Type.Literal('create_volume'), name: Name, sizeBytes: Bytes }),
  closed({ verb: Type.Literal('delete_volume'), volumeId: Id }),
  closed({ verb: Type.Literal('pair_volumes'), volumeId: Id, standIn: closed(newStandIn) }),
  closed({ verb: Type.Literal('part_volumes'), volumeId: Id, pairId: Id }),
  closed({ verb: Type.Literal('create_group'), name: Name, description: Words, volumeIds: Ids }),
  closed({
    verb: Type.Literal('change_group'),
    groupId: Id,
    name: Type.Optional(Name),
    description: Type.Optional(Words),
    add: Ids,
    remove: Ids,
  }),
  closed({ verb: Type.Literal('replicate'), groupId: Id, peerId: Id }),
  closed({
    verb: Type.Literal('hand_over'),
    groupId: Id,
    reverse: Type.Optional(Type.Boolean()),
  }),
  ...(['delete_group', 'pause', 'fail_over', 'reprotect'] as const).map(ofGroup),
]);

/** Name, body and answer of every message. */
export const messages = {
  heartbeat: { body: Beat, answer: Beat },
  'offer-group': { body: GroupOffer, answer: closed({ points: Type.Array(Id) }) },
  'end-session': {
    body: closed({ groupId: Id, sessionId: Id, epoch: Epoch, discardCopy: Type.Boolean() }),
    answer: Nothing,
  },
  'pause-session': {
    body: closed({ groupId: Id, sessionId: Id, epoch: Epoch, paused: Type.Boolean() }),
    answer: Nothing,
  },
  'receive-point': {
    body: closed({
      offer: GroupOffer,
      pointId: Id,
      basePointId: Type.Optional(Id),
      volumes: Type.Array(PointVolume),
    }),
    answer: closed({ target: Target, isComplete: Type.Boolean() }),
  },
  'open-standby': {
    body: closed({
      offer: GroupOffer,
      mirrorId: Id,
      basePointId: Id,
      volumes: Type.Array(PointVolume),
    }),
    answer: Target,
  },
  'keep-standby': {
    body: closed({
      groupId: Id,
      epoch: Epoch,
      mirrorId: Id,
      pointId: Id,
      sequence: Type.Integer({ minimum: 1 }),
      sealedAt: Instant,
      toldAt: Instant,
      volumes: Type.Array(PointVolume),
    }),
    answer: closed({ completedAt: Instant }),
  },
  'complete-point': {
    body: closed({
      groupId: Id,
      epoch: Epoch,
      pointId: Id,
      sequence: Type.Integer({ minimum: 1 }),
      sealedAt: Instant,
      toldAt: Instant,
      volumes: Type.Array(PointVolume),
      place: Type.String(),
      surpasses: Type.Optional(Id),
    }),
    answer: closed({ completedAt: Instant }),
  },
  'prepare-handover': { body: closed({ groupId: Id, epoch: Epoch, sagaId: Id }), answer: Nothing },
  'cancel-handover': { body: closed({ groupId: Id, epoch: Epoch, sagaId: Id }), answer: Nothing },
  'take-group': {
    body: closed({ groupId: Id, epoch: Epoch, pointId: Id, sagaId: Id, reverse: Type.Boolean() }),
    answer: Nothing,
  },
  'describe-group': {
    body: closed({ groupId: Id }),
    answer: closed({
      ownership: Ownership,
      points: Type.Array(Id),
      hasPresent: Type.Boolean(),
      aside: Type.Optional(HistoryAside),
    }),
  },
  'prepare-return': {
    body: closed({ groupId: Id, epoch: Epoch, sagaId: Id }),
    answer: HistoryAside,
  },
  'return-group': {
    body: closed({
      groupId: Id,
      epoch: Epoch,
      sagaId: Id,
      aside: HistoryAside,
      spareForkId: Id,
      hosts: Type.Array(Name),
    }),
    answer: Nothing,
  },
  'note-fork': { body: Fork, answer: Nothing },
  'drop-fork': { body: closed({ forkId: Id }), answer: Nothing },
  'resize-volume': {
    body: closed({ groupId: Id, epoch: Epoch, volumeId: Id, sizeBytes: Bytes }),
    answer: Nothing,
  },
  'show-holdings': { body: Nothing, answer: closed({ groups: Type.Array(HeldGroup) }) },
  'run-errand': {
    body: closed({ errand: Errand, by: Name }),
    answer: closed({ id: Type.Optional(Id), jobId: Type.Optional(Id) }),
  },
  'enrol-host': {
    body: closed({ name: Name }),
    answer: closed({
      siteId: Id,
      siteName: Name,
      url: Type.String(),
      token: Type.String(),
      files: closed({
        'ca-cert.pem': Type.String(),
        'client-cert.pem': Type.String(),
        'client-key.pem': Type.String(),
      }),
    }),
  },
  'digest-ranges': {
    body: closed({
      groupId: Id,
      pointId: Id,
      volumeId: Id,
      rangeBytes: Bytes,
      firstRange: Type.Integer({ minimum: 0 }),
      ranges: Type.Integer({ minimum: 1, maximum: 4096 }),
    }),
    answer: closed({ sizeBytes: Bytes, digests: Type.Array(Type.String({ maxLength: 64 })) }),
  },
  'hash-point': {
    body: closed({ groupId: Id, pointId: Id }),
    answer: closed({
      volumes: Type.Array(closed({ volumeId: Id, sizeBytes: Bytes, hash: Type.String() })),
    }),
  },
} as const;

const Introduction = closed({
  siteId: Id,
  name: Name,
  host: Type.String({ minLength: 1 }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
  authorityPem: Type.String({ minLength: 1, maxLength: 16_384 }),
});

/** The one message of a site that is not known yet; the secret stands for a certificate. */
export const introduce = {
  body: closed({ secret: Type.String({ minLength: 1 }), introduction: Introduction }),
  answer: Introduction,
} as const;

export type MessageName = keyof typeof messages;

export const PATH = '/peer/v1';
