import { copyLife } from './copy-life.ts';
import { crashTests } from './crash-tests.ts';

crashTests(copyLife, Number.MAX_SAFE_INTEGER);
