import { engineContract } from './engine-contract.ts';
import { twoSites } from './test-sites.ts';

engineContract('qcow2', () => twoSites());
