import { closeCopy, openCopy, refreshCopy } from './copies.ts';
import { drill } from './drill.ts';
import { failover } from './failover.ts';
import { followLine, goBack } from './go-back.ts';
import { handover } from './handover.ts';
import { deleteGroup, moveVolumes } from './members.ts';
import {
  cancelImport,
  compareImport,
  cutOverImport,
  examineImport,
  forgetImport,
  openImport,
} from './imports.ts';
import { forgetSession, protect, unprotect } from './protect.ts';
import { replicate } from './replicate.ts';
import { reprotect } from './reprotect.ts';
import { rollBackImport } from './roll-back-import.ts';
import type { SagaDefinition } from './saga.ts';
import { rollBack } from './roll-back.ts';
import { setAside } from './set-aside.ts';
import { createVolume, deleteVolume, resizeVolume } from './volumes.ts';

/** Every saga that a store may hold a record of. */
export const allSagas: readonly SagaDefinition[] = [
  createVolume,
  deleteVolume,
  resizeVolume,
  moveVolumes,
  deleteGroup,
  protect,
  unprotect,
  forgetSession,
  replicate,
  handover,
  failover,
  setAside,
  rollBack,
  reprotect,
  openImport,
  compareImport,
  examineImport,
  cutOverImport,
  cancelImport,
  forgetImport,
  rollBackImport,
  goBack,
  followLine,
  openCopy,
  refreshCopy,
  closeCopy,
  drill,
];
