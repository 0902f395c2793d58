import { crashTests } from './crash-tests.ts';

crashTests(Number.MAX_SAFE_INTEGER);
