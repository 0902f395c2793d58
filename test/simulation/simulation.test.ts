import { simulateSeeds } from './seeds.ts';

simulateSeeds({ seeds: 60, steps: 2000 });
