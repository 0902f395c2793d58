/** The story of file-system.test.ts, for longer: ROUNDS chooses how many handovers. */
import test, { after } from 'node:test';
import { whyNoFileSystem } from '../support/story-file-system.ts';
import { handOverUnderPrograms } from '../support/story-programs.ts';
import { twoSites } from '../support/two-sites.ts';

const ROUNDS = Number(process.env['ROUNDS'] ?? 10);

const skip = await whyNoFileSystem();
const sites = await twoSites({ after });

test(
  `a mounted ext4 with SQLite and fio on it goes through ${ROUNDS} handovers with no error`,
  { skip },
  (t) => handOverUnderPrograms(t, sites, { group: 'shop', rounds: ROUNDS }),
);
