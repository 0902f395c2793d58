import { simulateSeeds } from './seeds.ts';

simulateSeeds({ seeds: 4000, steps: 4000 });
