import { adoptionContract } from './contract-adoption.ts';
import { comparisonContract } from './contract-comparison.ts';
import { copiesContract } from './contract-copies.ts';
import { engineContract } from './engine-contract.ts';
import { twoSites } from './test-sites.ts';

engineContract('qcow2', () => twoSites(), [copiesContract, adoptionContract, comparisonContract]);
