import { crashTests } from './crash-tests.ts';
import { groupLife } from './group-life.ts';

crashTests(groupLife, Number.MAX_SAFE_INTEGER);
