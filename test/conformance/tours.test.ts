/** Each vendor's page, typed word by word: curl, and the vendor's own client. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { pythonWith } from '../support/python-packages.ts';
import { takeTour } from '../support/tours.ts';

const tours = [
  { vendor: 'powerstore', page: 'powerstore.md', network: 1, shows: /"Import_Completed"/ },
  { vendor: 'nimble', page: 'nimble.md', network: 2, shows: /^true$/m },
  { vendor: 'openstack', page: 'evs.md', network: 3, shows: /^copy lyon available$/m },
];

for (const { vendor, page, network, shows } of tours) {
  test(`every command of the page on ${vendor} works as it stands there`, async (t) => {
    const python = await pythonWith(join(import.meta.dirname, vendor, 'requirements.txt'));

    const printed = await takeTour(t, { page: `docs/dialects/${page}`, network, python });

    assert.match(printed, shows);
  });
}
