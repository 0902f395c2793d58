import { simulateSeeds } from './seeds.ts';

simulateSeeds({ seeds: 200, steps: 2000 });
