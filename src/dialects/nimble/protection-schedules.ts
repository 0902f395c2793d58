/**
 * Protection schedules. A collection has one: it is what replicates it, whichever dialect made it.
 * Its period is the session's RPO, and behind it stands a protection policy of the site's.
 */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { App } from '../../app/app.ts';
import type { GroupView } from '../../app/views.ts';
import type { GroupId, PolicyId, SiteId } from '../../domain/ids.ts';
import { requireHolder } from '../../domain/ownership.ts';
import { refuse } from '../../domain/refusal.ts';
import { MAX_RETAINED_POINTS } from '../../domain/replication-session.ts';
import { NimbleError } from './errors.ts';
import { partnerIn } from './replication-partners.ts';
import { fromWire, toWire } from './ids.ts';
import { settle } from './long-requests.ts';
import { operation } from './object-sets.ts';
import type { ObjectSet } from './object-sets.ts';
import { DIALECT, Fixed, ObjectId, ObjectIdOrNone, data, refuseOthers } from './schemas.ts';
import { groupOf, shownGroups } from './shown-groups.ts';
import {
  DAY_SECONDS,
  constants,
  facts,
  policiesBehind,
  policyName,
  saySchedule,
  scheduleName,
  toldOf,
  unitSeconds,
} from './shown-schedules.ts';
import type { Told } from './shown-schedules.ts';

/** The vendor's clients do not agree on the last one's name. */
const fixed = {
  ...constants,
  use_downstream_for_DR: false,
  use_downstream_for_dr: false,
} as const;

const Unit = Type.Enum(['minutes', 'hours', 'days', 'weeks']);
const Count = Type.Integer({ minimum: 1, maximum: 10_000 });

const fixedArguments = Object.fromEntries(Object.keys(fixed).map((name) => [name, Fixed]));

const settings = {
  ...fixedArguments,
  description: Type.Optional(Type.String({ maxLength: 255 })),
  period: Type.Optional(Count),
  period_unit: Type.Optional(Unit),
  num_retain_replica: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
  repl_alert_thres: Type.Optional(Type.Integer({ minimum: 0, maximum: DAY_SECONDS })),
  downstream_partner: Type.Optional(Type.String({ maxLength: 64 })),
  downstream_partner_id: Type.Optional(ObjectIdOrNone),
};

const Create = data({
  ...settings,
  name: Type.String({ minLength: 1, maxLength: 64 }),
  volcoll_or_prottmpl_type: Type.Enum(['protection_template', 'volume_collection']),
  volcoll_or_prottmpl_id: ObjectId,
  num_retain: Count,
});

const Update = data({
  ...settings,
  name: Type.Optional(Type.String({ maxLength: 64 })),
  num_retain: Type.Optional(Count),
});

export const protectionSchedules: ObjectSet = {
  name: 'protection_schedules',
  attributes: [...facts, ...Object.keys(constants)],
  brief: ['id', 'name'],
  rows: async ({ app }) => {
    const behind = await policiesBehind(app);
    const rows = (await shownGroups(app)).map((group) => saySchedule(group, behind(group)));
    return rows.filter((row) => row !== undefined);
  },
  create: operation({
    needs: 'storage',
    schema: Create,
    run: async ({ app }, body) => {
      refuseOthers(body, fixed);
      const group = await groupOf(app, body.volcoll_or_prottmpl_id);
      const peerId = await downstreamIn(app, body);
      requireHolder(group.id, group.ownership, (await app.showSite()).id);
      if (group.session !== undefined || group.policyId !== undefined) {
        const behind = (await policiesBehind(app))(group);
        const name = scheduleName(group, behind, group.session?.rpoSeconds ?? 0);
        const code = name === body.name ? 'SM_eexist' : 'SM_err_vol_coll_multiple_schedules';
        throw new NimbleError(code, `${group.name} has ${name}.`);
      }
      const told = settingsIn(body, undefined);
      await protect(app, group, { ...body, ...told, peerId });
      await app.remarkOn({
        on: { groupId: group.id },
        dialect: DIALECT,
        told: { schedule: told.told },
      });
      const behind = await policiesBehind(app);
      const made = await app.showGroup(group.id);
      return (
        saySchedule(made, behind(made)) ?? refuse({ code: 'not_protected', groupId: group.id })
      );
    },
  }),
  update: operation({
    needs: 'storage',
    schema: Update,
    run: async ({ app, id }, body) => {
      const group = await groupOfSchedule(app, id);
      const behind = (await policiesBehind(app))(group);
      const name = scheduleName(group, behind, group.session?.rpoSeconds ?? 0);
      refuseOthers(body, { ...fixed, name });
      const { rpoSeconds, retainedPoints, told } = settingsIn(body, toldOf(group));
      const alertThresholdMinutes = minutes(body.repl_alert_thres);
      const { session } = group;
      if (wantsPartner(body)) {
        const peerId = await downstreamIn(app, body);
        if (peerId !== (session?.peerId ?? behind?.rule.peerId)) {
          throw new NimbleError(
            'SM_no_support',
            'A schedule keeps its partner; delete it and make another.',
          );
        }
      }
      requireHolder(group.id, group.ownership, (await app.showSite()).id);
      if (behind !== undefined) {
        const { description } = body;
        const changed = {
          ...(rpoSeconds !== undefined && { rpoSeconds }),
          ...(retainedPoints !== undefined && { retainedPoints }),
          ...(alertThresholdMinutes !== undefined && { alertThresholdMinutes }),
        };
        if (Object.keys(changed).length > 0) {
          await app.changeRule({ ruleId: behind.rule.id, ...changed });
        }
        if (description !== undefined && description !== behind.policy.description) {
          await app.changePolicy({ policyId: behind.policy.id, description });
        }
      } else if (session !== undefined) {
        await app.changeSession({ sessionId: session.id, rpoSeconds, retainedPoints });
      }
      await app.remarkOn({ on: { groupId: group.id }, dialect: DIALECT, told: { schedule: told } });
      // After a promote or a handover that did not reverse, this is how replication begins again.
      if (wantsPartner(body) && session?.state === 'failed_over') {
        await settle(app, await app.reprotectGroup({ groupId: group.id }));
      }
    },
  }),
  remove: operation({
    needs: 'storage',
    schema: data({}),
    run: async ({ app, id }) => {
      const group = await groupOfSchedule(app, id);
      const { id: groupId, policyId } = group;
      const behind = (await policiesBehind(app))(group);
      const job =
        policyId === undefined
          ? await app.unprotectGroup({ groupId, discardCopy: false })
          : await app.unassignPolicy({ groupId });
      await settle(app, job);
      await app.remarkOn({ on: { groupId }, dialect: DIALECT, told: { schedule: undefined } });
      const isOurs =
        behind?.policy.replicaOf === undefined &&
        behind?.policy.name.startsWith(policyName(group.name, '')) === true;
      if (isOurs) await forget(app, behind.policy.id);
    },
  }),
};

async function groupOfSchedule(app: App, id: string): Promise<GroupView> {
  const groupId = fromWire<GroupId>('protection_schedule', id)?.id ?? id;
  return groupOf(app, toWire('volume_collection', groupId));
}

type Settings = Static<typeof Update>;

interface Read {
  readonly rpoSeconds: number | undefined;
  readonly retainedPoints: number | undefined;
  readonly told: Readonly<Record<string, number | string>>;
}

/**
 * @param before absent for a new schedule
 * @throws NimbleError `SM_limit_snap_retention_volcoll`: both sites keep the same points, and few
 */
function settingsIn(body: Settings, before: Told | undefined): Read {
  const { num_retain, num_retain_replica } = { ...before, ...known(body) };
  const asked = Math.max(num_retain ?? 0, num_retain_replica ?? 0);
  if (asked > MAX_RETAINED_POINTS) {
    const detail = `At most ${MAX_RETAINED_POINTS} are kept, the same at both sites.`;
    throw new NimbleError('SM_limit_snap_retention_volcoll', detail);
  }
  const isTimed =
    before === undefined || body.period !== undefined || body.period_unit !== undefined;
  const period = body.period ?? before?.period ?? 1;
  const period_unit = body.period_unit ?? before?.period_unit ?? 'days';
  return {
    rpoSeconds: isTimed ? period * unitSeconds[period_unit] : undefined,
    retainedPoints: asked === 0 ? undefined : asked,
    told: {
      ...before,
      ...(isTimed && { period, period_unit }),
      ...(num_retain !== undefined && { num_retain }),
      ...(num_retain_replica !== undefined && { num_retain_replica }),
    },
  };
}

function known({ num_retain, num_retain_replica }: Settings): Partial<Told> {
  return {
    ...(num_retain !== undefined && { num_retain }),
    ...(num_retain_replica !== undefined && { num_retain_replica }),
  };
}

function minutes(thresholdSeconds: number | undefined): number | undefined {
  return thresholdSeconds === undefined ? undefined : Math.ceil(thresholdSeconds / 60);
}

function wantsPartner({ downstream_partner, downstream_partner_id }: Settings): boolean {
  return downstream_partner !== undefined || downstream_partner_id !== undefined;
}

/** By its id, or by its name where no id is given. */
async function downstreamIn(
  app: App,
  { downstream_partner: name = '', downstream_partner_id: id = '' }: Settings,
): Promise<SiteId> {
  if (id !== '') return partnerIn(app, id);
  if (name === '') {
    const detail = 'A schedule here always replicates: name its partner, or delete it.';
    throw new NimbleError('SM_no_support', detail, { arg: 'downstream_partner_id' });
  }
  const peer = (await app.listPeers()).find((p) => p.name === name);
  return peer?.id ?? refuse({ code: 'not_found', what: 'peer', id: name });
}

interface Wanted extends Read {
  readonly name: string;
  readonly description?: string;
  readonly repl_alert_thres?: number;
  readonly peerId: SiteId;
}

/** Either the collection is replicated, or nothing of the schedule stays. */
async function protect(app: App, group: GroupView, wanted: Wanted): Promise<void> {
  const { peerId, retainedPoints, description, rpoSeconds = DAY_SECONDS } = wanted;
  const name = policyName(group.name, wanted.name);
  const alertThresholdMinutes = minutes(wanted.repl_alert_thres);
  const rule = { name, peerId, rpoSeconds, retainedPoints, alertThresholdMinutes };
  const { id: ruleId } = await app.createRule(rule);
  const { id: policyId } = await app
    .createPolicy({ name, description, ruleId })
    .catch(async (error: unknown) => {
      await app.deleteRule({ ruleId });
      throw error;
    });
  try {
    await settle(app, await app.assignPolicy({ groupId: group.id, policyId }));
  } catch (error) {
    await forget(app, policyId);
    throw error;
  }
}

/** The policy and its rule, where nothing else uses them. */
async function forget(app: App, policyId: PolicyId): Promise<void> {
  const policy = (await app.listPolicies()).find((p) => p.id === policyId);
  const groups = await app.listGroups();
  if (policy === undefined || groups.some((g) => g.policyId === policyId)) return;
  await app.deletePolicy({ policyId });
  const isShared = (await app.listPolicies()).some((p) => p.ruleId === policy.ruleId);
  if (!isShared) await app.deleteRule({ ruleId: policy.ruleId });
}
