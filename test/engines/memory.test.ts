import { engineContract } from './engine-contract.ts';
import { memorySites } from './memory-sites.ts';

engineContract('memory', memorySites);
