import { crashTests } from './crash-tests.ts';
import { importLife } from './import-life.ts';

crashTests(importLife, Number.MAX_SAFE_INTEGER);
