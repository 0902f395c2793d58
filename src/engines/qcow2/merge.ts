export const MERGE_JOB = 'merge-';
