import { crashTests } from './crash-tests.ts';
import { importLife } from './import-life.ts';

/** All moments are in the long test. */
const MOMENTS = 6;

crashTests(importLife, Number(process.env['CRASH_MOMENTS'] ?? MOMENTS));
