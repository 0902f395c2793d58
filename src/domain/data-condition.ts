/**
 * What a synchronous session's two copies are to each other, beside the session's state: the state
 * says what operators may do, the condition what a failover would stand on.
 *
 *   catching_up ── levelled ──▶ in_sync ── held_up, broken, ended ──▶ fractured
 *        ▲                         ▲                                     │  │
 *        │                         └── levelled: the same mirror goes on ┘  │
 *        └──────────────── begun: another mirror, from a common point ──────┘
 */
import type { Instant } from './ids.ts';

export const dataConditionStates = ['catching_up', 'in_sync', 'fractured'] as const;

export type DataConditionState = (typeof dataConditionStates)[number];

export interface DataCondition {
  readonly state: DataConditionState;
  readonly since: Instant;
  /** The operator's sentence. */
  readonly why: string;
}

export const conditionFacts = [
  /** At one look every volume was level, and the other site has recorded it. */
  'levelled',
  /** A host's write has been waiting for the other site, or that site is not heard of. */
  'held_up',
  /** The mirror failed, or one of its two data planes is gone. */
  'broken',
  /** It is about to be ended on purpose. */
  'ended',
  /** Another mirror begins, from a point that both sites have. */
  'begun',
] as const;

export type ConditionFact = (typeof conditionFacts)[number];

type Row = { readonly [F in ConditionFact]: DataConditionState };

// oxfmt-ignore
const transitions: { readonly [S in DataConditionState]: Row } = {
  catching_up: { levelled: 'in_sync', held_up: 'catching_up', broken: 'catching_up',
                 ended: 'catching_up', begun: 'catching_up' },
  in_sync:     { levelled: 'in_sync', held_up: 'fractured',   broken: 'fractured',
                 ended: 'fractured',   begun: 'catching_up' },
  // Hosts waited all the time and nothing failed: then nothing is missing there.
  fractured:   { levelled: 'in_sync', held_up: 'fractured',   broken: 'fractured',
                 ended: 'fractured',   begun: 'catching_up' },
};

/** The condition after a fact. Where the state stays, so do its instant and its reason. */
export function afterFact(
  condition: DataCondition,
  fact: ConditionFact,
  why: string,
  at: Instant,
): DataCondition {
  const state = transitions[condition.state][fact];
  return state === condition.state ? condition : { state, since: at, why };
}
