import { copyLife } from './copy-life.ts';
import { crashTests } from './crash-tests.ts';

/** All moments are in the long test. */
const MOMENTS = 2;

crashTests(copyLife, Number(process.env['CRASH_MOMENTS'] ?? MOMENTS));
