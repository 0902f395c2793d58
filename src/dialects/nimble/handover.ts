/** What changes the owner of a volume collection, or takes that back. */
import { Type } from 'typebox';
import type { App } from '../../app/app.ts';
import type { GroupView } from '../../app/views.ts';
import { refuse } from '../../domain/refusal.ts';
import type { SiteId } from '../../domain/ids.ts';
import type { SagaRecord } from '../../domain/saga-record.ts';
import { jobAfter } from '../await-job.ts';
import { NimbleError } from './errors.ts';
import { settle } from './long-requests.ts';
import { operation } from './object-sets.ts';
import type { Asked } from './object-sets.ts';
import { partnerIn } from './replication-partners.ts';
import { ObjectId, data } from './schemas.ts';
import { groupOf } from './shown-groups.ts';

/** Until an aborted handover has put everything back. */
const ABORT_SECONDS = 60;

const Itself = data({ id: Type.Optional(ObjectId) });

/**
 * Passes a collection to its partner with no write lost. The answer comes at once; that it is done
 * is seen when the collection's owner has changed.
 */
export const handover = operation({
  needs: 'recovery',
  schema: data({
    id: Type.Optional(ObjectId),
    replication_partner_id: ObjectId,
    no_reverse: Type.Optional(Type.Boolean()),
    invoke_on_upstream_partner: Type.Optional(Type.Boolean()),
    override_upstream_down: Type.Optional(Type.Boolean()),
  }),
  run: async (asked, body): Promise<undefined> => {
    requireSameId(asked, body.id);
    const { app, id } = asked;
    const group = await groupOf(app, id);
    const to = await partnerIn(app, body.replication_partner_id);
    if (body.override_upstream_down === true) {
      const detail = "'override_upstream_down' is for synchronous collections.";
      throw new NimbleError('SM_einval', detail, { arg: 'override_upstream_down' });
    }
    if (group.volumes.length === 0) {
      throw new NimbleError('SM_no_assoc_vols', `${group.name} is empty.`);
    }
    const running = await runningHandover(app, group);
    if (running !== undefined) {
      throw new NimbleError('SM_ebusy', `${group.name} is being handed over already.`);
    }
    if (group.session === undefined) {
      throw new NimbleError('SM_einval', `${group.name} is not replicated to this partner.`);
    }
    const reverse = body.no_reverse !== true;
    if (body.invoke_on_upstream_partner === true)
      return handOverUpstream(asked, group, to, reverse);
    await app.handOverGroup({ groupId: group.id, to, reverse });
    return undefined;
  },
});

export const abortHandover = operation({
  needs: 'recovery',
  schema: Itself,
  run: async (asked, body): Promise<undefined> => {
    requireSameId(asked, body.id);
    const { app, id, caller } = asked;
    const group = await groupOf(app, id);
    const running = await runningHandover(app, group);
    if (running === undefined) {
      if (!group.heldHere) refuseOwner(group);
      throw new NimbleError('SM_ealready', `No handover of ${group.name} is running.`);
    }
    await app.abortJob({ jobId: running.id, by: caller?.name ?? 'nobody' });
    await jobAfter(app, running.id, ABORT_SECONDS);
  },
});

/** Takes a collection without the other array, as it was when the newest point came here whole. */
export const promote = operation({
  needs: 'recovery',
  schema: Itself,
  run: async (asked, body): Promise<undefined> => {
    requireSameId(asked, body.id);
    const { app, id } = asked;
    const group = await groupOf(app, id);
    if (group.heldHere) {
      throw new NimbleError('SM_ealready', `This group owns ${group.name} already.`);
    }
    // The vendor asks nothing back: who calls this has decided that what is not here is lost.
    const { confirmation } = await app.preflightFailover({ groupId: group.id });
    await settle(app, await app.failOverGroup({ groupId: group.id, confirmation }));
  },
});

/**
 * Gives up a collection that the partner has promoted. Once this site has heard of that it has done
 * so by itself: its writes are set aside, and it waits for the new owner to replicate.
 */
export const demote = operation({
  needs: 'recovery',
  schema: data({
    id: Type.Optional(ObjectId),
    replication_partner_id: ObjectId,
    invoke_on_upstream_partner: Type.Optional(Type.Boolean()),
  }),
  run: async (asked, body): Promise<undefined> => {
    requireSameId(asked, body.id);
    const { app, id } = asked;
    const group = await groupOf(app, id);
    const partner = await partnerIn(app, body.replication_partner_id);
    if (body.invoke_on_upstream_partner === true) refuseForwarding();
    if (group.volumes.length === 0) {
      throw new NimbleError('SM_no_assoc_vols', `${group.name} is empty.`);
    }
    if (group.session === undefined) {
      throw new NimbleError('SM_repl_no_partner_avail', `${group.name} is not replicated.`);
    }
    if (group.heldHere) {
      const detail =
        `Nobody has promoted ${group.name} at the partner: a collection has an owner at any time. ` +
        'Hand it over, or promote it there.';
      throw new NimbleError('SM_no_support', detail);
    }
    if (group.ownership.holder !== partner) {
      throw new NimbleError(
        'SM_einval',
        `${group.holderName} owns ${group.name}, not this partner.`,
      );
    }
    if (group.session.state !== 'failed_over') {
      throw new NimbleError('SM_ealready', `${group.name} is downstream here.`);
    }
  },
});

export const validate = operation({
  needs: 'view',
  schema: Itself,
  run: async (asked, body) => {
    requireSameId(asked, body.id);
    const group = await groupOf(asked.app, asked.id);
    return {
      general_error: '',
      app_sync: 'none',
      has_assoc_vols: group.volumes.length > 0,
      vss_response: null,
      vmw_response: null,
      generic_response: null,
    };
  },
});

/** Asked at the downstream array, which has its owner do it; the partner named is that owner. */
async function handOverUpstream(
  { app, caller }: Asked,
  group: GroupView,
  owner: SiteId,
  reverse: boolean,
): Promise<undefined> {
  if (group.heldHere || group.ownership.holder !== owner) {
    const detail = `${group.holderName} owns ${group.name}: name it as the partner, and ask another.`;
    throw new NimbleError('SM_einval', detail, { arg: 'invoke_on_upstream_partner' });
  }
  const errand = { verb: 'hand_over', groupId: group.id, reverse } as const;
  await app.askSite({ errand, by: caller?.name ?? 'nobody' });
  return undefined;
}

function requireSameId({ id }: Asked, repeated: string | undefined): void {
  if (repeated === undefined || repeated.toLowerCase() === id) return;
  throw new NimbleError('SM_invalid_arg_value', "'id' is not the one in the path.", { arg: 'id' });
}

async function runningHandover(app: App, { id }: GroupView): Promise<SagaRecord | undefined> {
  const jobs = await app.listJobs({ groupId: id, kind: 'handover' });
  return jobs.find(({ state }) => state === 'running' || state === 'undoing');
}

function refuseOwner({ id: groupId, ownership }: GroupView): never {
  const { holder, epoch } = ownership;
  return refuse({ code: 'not_holder', groupId, holder, epoch });
}

function refuseForwarding(): never {
  const arg = 'invoke_on_upstream_partner';
  throw new NimbleError('SM_no_support', 'Ask the array that is meant.', { arg });
}
