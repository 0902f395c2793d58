import { crashTests } from './crash-tests.ts';
import { groupLife } from './group-life.ts';

/** All moments take more than an hour: they are in the long test. */
const MOMENTS = 3;

crashTests(groupLife, Number(process.env['CRASH_MOMENTS'] ?? MOMENTS));
