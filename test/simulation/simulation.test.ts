import { simulateSeeds } from './seeds.ts';

simulateSeeds({ seeds: 150, steps: 2000 });
