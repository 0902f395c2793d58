export const MERGE_JOB = 'merge-';
export const MERGE_LIMIT = 'tg-merge';
