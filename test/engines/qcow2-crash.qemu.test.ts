import { crashTests } from './crash-tests.ts';

/** All moments take more than an hour: they are in the long test. */
const MOMENTS = 4;

crashTests(Number(process.env['CRASH_MOMENTS'] ?? MOMENTS));
