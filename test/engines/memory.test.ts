import { adoptionContract } from './contract-adoption.ts';
import { comparisonContract } from './contract-comparison.ts';
import { copiesContract } from './contract-copies.ts';
import { engineContract } from './engine-contract.ts';
import { memorySites } from './memory-sites.ts';

engineContract('memory', memorySites, [copiesContract, adoptionContract, comparisonContract]);
