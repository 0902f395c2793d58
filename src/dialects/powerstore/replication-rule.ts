/** Replication rules: where to, and how old the newest point there may become. */
import { Type } from 'typebox';
import type { RuleId, SiteId } from '../../domain/ids.ts';
import { refuse } from '../../domain/refusal.ts';
import { asToken, managedBy } from './l10n.ts';
import { idOf, needId } from './references.ts';
import { resourceType } from './resource-types.ts';
import { operation } from './routes.ts';
import type { Resource } from './routes.ts';
import { Flag, Name, Reference, body } from './schemas.ts';

const rpoSeconds = {
  Five_Minutes: 300,
  Fifteen_Minutes: 900,
  Thirty_Minutes: 1800,
  One_Hour: 3600,
  Six_Hours: 21_600,
  Twelve_Hours: 43_200,
  One_Day: 86_400,
} as const;

type Rpo = keyof typeof rpoSeconds;

const tokens = Object.keys(rpoSeconds) as readonly Rpo[];

/** The longest of the vendor's that promises no more than the rule does; the shortest for those below. */
function tokenOf(seconds: number): Rpo {
  return tokens.findLast((token) => rpoSeconds[token] <= seconds) ?? 'Five_Minutes';
}

const ruleType = resourceType({
  name: 'replication_rule',
  attributes: [
    'id',
    'name',
    'rpo',
    'remote_system_id',
    'is_replica',
    'is_read_only',
    'alert_threshold',
    'managed_by',
    'managed_by_id',
  ],
  texts: { rpo: asToken, managed_by: managedBy },
  links: {
    remote_system: 'remote_system',
    replication_sessions: 'replication_session',
    policies: 'policy',
  },
  unknown: 'policy_not_found',
  rows: async ({ rules, policies, groups }) => {
    const [allPolicies, allGroups] = [await policies(), await groups()];
    return (await rules()).map((rule) => {
      const { replicaOf } = rule;
      const under = allPolicies.filter(({ ruleId }) => ruleId === rule.id).map(({ id }) => id);
      const sessions = allGroups.flatMap(({ policyId, session }) =>
        policyId !== undefined && under.includes(policyId) && session ? [session.id] : [],
      );
      return {
        attributes: {
          id: rule.id,
          name: rule.name,
          rpo: tokenOf(rule.rpoSeconds),
          remote_system_id: rule.peerId,
          is_replica: replicaOf !== undefined,
          is_read_only: replicaOf !== undefined,
          alert_threshold: rule.alertThresholdMinutes,
          managed_by: replicaOf === undefined ? 'User' : 'Replication',
          managed_by_id: replicaOf ?? null,
        },
        links: {
          remote_system: rule.peerId,
          replication_sessions: sessions,
          policies: under,
        },
      };
    });
  },
});

const Rpo = Type.Enum([...tokens, 'Zero']);
const AlertThreshold = Type.Optional(Type.Integer({ minimum: 0, maximum: 1440 }));

function secondsOf(rpo: Rpo | 'Zero'): number {
  if (rpo !== 'Zero') return rpoSeconds[rpo];
  const why = 'rules replicate in cycles; make the session synchronous by the native API';
  return refuse({ code: 'unsupported', what: 'an RPO of Zero', why });
}

const create = operation({
  needs: 'storage',
  schema: body({
    name: Name,
    rpo: Rpo,
    remote_system_id: Reference,
    alert_threshold: AlertThreshold,
    is_read_only: Flag,
  }),
  run: async ({ app, world }, wanted) => {
    if (wanted.is_read_only === true) {
      const why = 'only copies of another site’s rules are read-only';
      refuse({ code: 'unsupported', what: 'is_read_only', why });
    }
    const peerId = await needId<SiteId>(world, 'remote_system', wanted.remote_system_id);
    const { id } = await app.createRule({
      name: wanted.name,
      peerId,
      rpoSeconds: secondsOf(wanted.rpo),
      alertThresholdMinutes: wanted.alert_threshold,
    });
    return { answer: { id } };
  },
});

const modify = operation({
  needs: 'storage',
  schema: body({
    name: Type.Optional(Name),
    rpo: Type.Optional(Rpo),
    remote_system_id: Type.Optional(Reference),
    alert_threshold: AlertThreshold,
  }),
  run: async ({ app, world, reference }, wanted) => {
    const ruleId = await needId<RuleId>(world, 'replication_rule', reference);
    await app.changeRule({
      ruleId,
      name: wanted.name,
      peerId: await idOf<SiteId>(world, 'remote_system', wanted.remote_system_id),
      rpoSeconds: wanted.rpo && secondsOf(wanted.rpo),
      alertThresholdMinutes: wanted.alert_threshold,
    });
    return {};
  },
});

const remove = operation({
  needs: 'storage',
  schema: body({}),
  run: async ({ app, world, reference }) => {
    await app.deleteRule({ ruleId: await needId<RuleId>(world, 'replication_rule', reference) });
    return {};
  },
});

const clone = operation({
  needs: 'storage',
  schema: body({ name: Name, force: Flag }),
  run: async ({ app, world, reference }, { name }) => {
    const ruleId = await needId<RuleId>(world, 'replication_rule', reference);
    const original = (await world.rules()).find(({ id }) => id === ruleId);
    if (original === undefined) throw new Error(`rule ${ruleId} was there a moment ago`);
    const { peerId, alertThresholdMinutes } = original;
    const rule = { name, peerId, alertThresholdMinutes, rpoSeconds: original.rpoSeconds };
    return { answer: { id: (await app.createRule(rule)).id } };
  },
});

export const replicationRule: Resource = {
  type: ruleType,
  create,
  modify,
  remove,
  actions: { clone },
};
