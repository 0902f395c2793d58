import { kindsOf } from './kinds.ts';
import { testSagas } from './saga-tests.ts';

testSagas(kindsOf.handovers);
