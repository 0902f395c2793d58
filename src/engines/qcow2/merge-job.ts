/** Ids of jobs that merge layers begin so; the volume's key follows. */
export const MERGE_JOB = 'merge-';
