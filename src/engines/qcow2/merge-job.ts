/** Ids of jobs that merge layers begin so; the volume's key follows. */
export const MERGE_JOB = 'merge-';

/** The heads of such jobs need a throttle group; it limits nothing. */
export const MERGE_LIMIT = 'tg-merge';
