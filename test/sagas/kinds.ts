/** Which sagas each file of this folder tests: files are what runs beside each other. */
export const kindsOf = {
  volumes: ['create-volume', 'delete-volume', 'resize-volume', 'delete-group'],
  members: ['move-volume'],
  sessions: ['protect', 'unprotect', 'forget-session', 'replicate'],
  handovers: ['handover'],
  moves: ['failover', 'set-aside', 'roll-back', 'reprotect'],
  histories: ['go-back', 'follow-line', 'open-copy', 'refresh-copy', 'close-copy'],
  drills: ['drill'],
  imports: [
    'open-import',
    'compare-import',
    'examine-import',
    'cut-over-import',
    'cancel-import',
    'forget-import',
    'roll-back-import',
  ],
} as const;
