/** A group is one thing, whichever API made it, moves it or looks at it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { GroupId } from '../../src/domain/ids.ts';
import { act, evsApi, GROUPS, makeGroup, until } from '../support/evs-api.ts';
import type { EvsApi } from '../support/evs-api.ts';
import { memoryPair } from '../support/memory-site.ts';
import type { MemoryPair, MemorySite } from '../support/memory-site.ts';
import { lookAfter } from '../support/memory-watches.ts';
import { nativeApi } from '../support/native-api.ts';
import type { NativeApi } from '../support/native-api.ts';
import { nimbleApi } from '../support/nimble-api.ts';
import type { NimbleApi } from '../support/nimble-api.ts';
import { powerstoreApi } from '../support/powerstore-api.ts';
import type { PowerStoreApi } from '../support/powerstore-api.ts';

const MIB = 1024 * 1024;

/** Where a dialect says that the group is, and whether it says that it moves. */
interface Seen {
  readonly owner: string;
  readonly moves: boolean;
}

/** Group `orders`, as the clients of one dialect speak of it. All of it is asked at Paris. */
interface Speaker {
  /** Makes it, with a volume, replicated to Lyon. */
  readonly make: () => Promise<void>;
  readonly look: () => Promise<Seen>;
  /** Asks for it to be handed over, without waiting until it is. */
  readonly move: () => Promise<number>;
  /** Asks for something that cannot be while it moves, and gives the words of the refusal. */
  readonly disturb: () => Promise<string>;
}

function native({ call }: NativeApi): Speaker {
  return {
    make: async () => {
      await call('POST', '/groups', { name: 'orders' });
      await call('POST', '/volumes?wait=30', { name: 'data', sizeBytes: MIB, group: 'orders' });
      const session = { peer: 'lyon', rpoSeconds: 60 };
      const { status, text } = await call('PUT', '/groups/orders/session', session);
      assert.equal(status, 202, text);
    },
    look: async () => {
      const { body } = await call('GET', '/groups/orders');
      const { state } = body['session'] as { readonly state: string };
      const { name } = body['holder'] as { readonly name: string };
      return { owner: name, moves: state === 'handing_over' };
    },
    move: async () => (await call('POST', '/groups/orders/handover?wait=0', { to: 'lyon' })).status,
    disturb: async () => {
      const { status, body } = await call('POST', '/groups/orders/session/pause');
      return `${status} ${(body['reason'] as { readonly code: string }).code}`;
    },
  };
}

function powerstore({ call, made }: PowerStoreApi): Speaker {
  const session = async (): Promise<Readonly<Record<string, unknown>>> => {
    const { body } = await call('GET', 'volume_group/name:orders?select=id');
    const filter = `local_resource_id=eq.${String(body['id'])}`;
    const { rows } = await call('GET', `replication_session?select=*&${filter}`);
    assert.ok(rows[0]);
    return rows[0];
  };
  const ask = async (action: string, body?: unknown) =>
    call('POST', `replication_session/${String((await session())['id'])}/${action}`, body);
  return {
    make: async () => {
      const rule = { name: 'five', rpo: 'Five_Minutes', remote_system_id: 'name:lyon' };
      await made('replication_rule', rule);
      await made('policy', { name: 'gold', replication_rule_ids: ['name:five'] });
      await made('volume_group', { name: 'orders' });
      await made('volume', { name: 'data', size: MIB, volume_group_id: 'name:orders' });
      await call('PATCH', 'volume_group/name:orders', { protection_policy_id: 'name:gold' });
    },
    look: async () => {
      const { role, state } = await session();
      return { owner: role === 'Source' ? 'paris' : 'lyon', moves: state === 'Failing_Over' };
    },
    move: async () => (await ask('failover?is_async=true', { reverse: true })).status,
    disturb: async () => {
      const { status, code } = await ask('pause');
      return `${status} ${code}`;
    },
  };
}

function nimble({ call }: NimbleApi): Speaker {
  const collection = async (): Promise<Readonly<Record<string, unknown>>> => {
    const { rows } = await call('GET', 'volume_collections/detail?name=orders');
    assert.ok(rows[0]);
    return rows[0];
  };
  const handOver = async () => {
    const { rows } = await call('GET', 'replication_partners?name=lyon');
    const { id } = await collection();
    const path = `volume_collections/${String(id)}/actions/handover`;
    return call('POST', path, { id, replication_partner_id: rows[0]?.['id'] });
  };
  return {
    make: async () => {
      const { data: made } = await call('POST', 'volume_collections', { name: 'orders' });
      const { data: volume } = await call('POST', 'volumes', { name: 'data', size: 1 });
      await call('PUT', `volumes/${String(volume['id'])}`, { volcoll_id: made['id'] });
      const schedule = await call('POST', 'protection_schedules', {
        name: 'often',
        volcoll_or_prottmpl_type: 'volume_collection',
        volcoll_or_prottmpl_id: made['id'],
        period: 1,
        period_unit: 'minutes',
        num_retain: 3,
        downstream_partner: 'lyon',
      });
      assert.equal(schedule.status, 201, schedule.text);
    },
    look: async () => {
      const { pol_owner_name: owner, is_handing_over: moves } = await collection();
      return { owner: String(owner), moves: moves === true };
    },
    move: async () => (await handOver()).status,
    disturb: async () => {
      const { status, codes } = await handOver();
      return `${status} ${codes.at(-1)}`;
    },
  };
}

function evs(api: EvsApi): Speaker {
  const group = async (): Promise<Readonly<Record<string, unknown>>> => {
    const { body } = await api.call('GET', `${GROUPS}?name=orders`);
    const [row] = body['replication_consistency_groups'] as Readonly<Record<string, unknown>>[];
    assert.ok(row);
    return row;
  };
  const ask = async (verb: string) => act(api, String((await group())['id']), verb);
  return {
    make: async () => {
      const id = await makeGroup(api);
      assert.equal((await act(api, id, 'sync')).status, 200);
    },
    look: async () => {
      const { priority_station: owner, status } = await group();
      return { owner: String(owner), moves: status === 'reversing' };
    },
    move: async () => (await ask('reverse')).status,
    disturb: async () => {
      const { status, body } = await ask('stop');
      return `${status} ${Object.keys(body).join()}`;
    },
  };
}

const speakers = ['native', 'powerstore', 'nimble', 'evs'] as const;
type Name = (typeof speakers)[number];

/** How each dialect says that it cannot be now. */
const words: { readonly [N in Name]: string } = {
  native: '409 wrong_state',
  powerstore: '422 0xE02010050001',
  nimble: '409 SM_ebusy',
  evs: '409 conflictingRequest',
};

interface World extends MemoryPair {
  readonly speak: { readonly [N in Name]: Speaker };
}

async function everyDialect(t: TestContext): Promise<World> {
  const pair = await memoryPair(t);
  const { paris, lyon } = pair;
  for (const site of [paris, lyon]) lookAfter(t, site);
  const speak = {
    native: native(await nativeApi(t, paris)),
    powerstore: powerstore(await powerstoreApi(t, paris)),
    nimble: nimble(await nimbleApi(t, paris)),
    evs: evs(await evsApi(t, paris)),
  };
  return { ...pair, speak };
}

async function groupIdAt({ app }: MemorySite): Promise<GroupId> {
  const group = (await app.listGroups()).find(({ name }) => name === 'orders');
  assert.ok(group);
  return group.id;
}

/** A first copy is at Lyon and nothing is in the way of a handover. */
async function ready({ paris }: World): Promise<void> {
  const groupId = await groupIdAt(paris);
  await until(async () => {
    const { session } = await paris.app.showGroup(groupId);
    const isLevel = session?.sync === undefined || session.sync.condition.state === 'in_sync';
    return session?.state === 'ok' && session.newestPoint !== undefined && isLevel;
  });
}

/** The next handover stands still before the other site is asked; the function lets it go on. */
function holdHandover({ paris }: World): () => void {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { hold } = paris.trouble;
  paris.trouble.hold = (message) => (message === 'prepareHandover' ? promise : hold(message));
  return resolve;
}

async function allSee({ speak }: World, wanted: Seen): Promise<void> {
  for (const name of speakers) {
    await until(
      async () => {
        const seen = await speak[name].look();
        return seen.owner === wanted.owner && seen.moves === wanted.moves;
      },
      () => `${name} does not see ${JSON.stringify(wanted)}`,
    );
  }
}

for (const maker of speakers) {
  for (const mover of speakers) {
    if (mover === maker) continue;
    test(`a group made by ${maker} and moved by ${mover} is seen moving by all, and disturbed by none`, async (t) => {
      const world = await everyDialect(t);
      const { speak, paris } = world;
      await speak[maker].make();
      await ready(world);
      await allSee(world, { owner: 'paris', moves: false });

      const letGo = holdHandover(world);
      try {
        assert.ok((await speak[mover].move()) < 300);
        await allSee(world, { owner: 'paris', moves: true });
        const jobs = (await paris.app.listJobs({})).length;
        for (const name of speakers) assert.equal(await speak[name].disturb(), words[name], name);
        assert.equal((await paris.app.listJobs({})).length, jobs, 'nothing more has begun');
      } finally {
        letGo();
      }

      await allSee(world, { owner: 'lyon', moves: false });
    });
  }
}
