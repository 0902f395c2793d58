/** What every engine promises, one sentence a test. The adapter brings two sites. */
import assert from 'node:assert/strict';
import { after, before, describe } from 'node:test';
import { forgettingContract, pointsContract } from './contract-points.ts';
import { mirrorsContract } from './contract-mirrors.ts';
import { presentsContract } from './contract-presents.ts';
import { rolesContract } from './contract-roles.ts';
import { sendsContract } from './contract-sends.ts';
import type { BothSites, ContractSites } from './contract-sites.ts';

/** @param more parts that not every engine keeps yet */
export function engineContract(
  name: string,
  open: () => Promise<ContractSites>,
  more: readonly ((both: BothSites) => void)[] = [],
): void {
  describe(`engine contract: ${name}`, () => {
    let sites: ContractSites | undefined;
    before(async () => (sites = await open()));
    after(() => sites?.close());
    const both = (): ContractSites => {
      assert.ok(sites);
      return sites;
    };
    presentsContract(both);
    pointsContract(both);
    sendsContract(both);
    rolesContract(both);
    mirrorsContract(both);
    forgettingContract(both);
    for (const part of more) part(both);
  });
}
