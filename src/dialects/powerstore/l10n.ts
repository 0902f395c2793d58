/** The display texts beside enumerations, `x_l10n` beside `x`. */
import type { Json } from './schemas.ts';

/** Those that are not the token with blanks for its underscores. */
export type DisplayTexts = Readonly<Record<string, string>>;

export const asToken: DisplayTexts = {};

export const dataConnectionState: DisplayTexts = {
  Partial_Data_Connection_Loss: 'Partial Data Connections Loss',
  Complete_Data_Connection_Loss: 'Complete Data Connections Loss',
};

export const managedBy: DisplayTexts = {
  User: 'Managed by the end user',
  Metro: 'Managed by Metro Cluster',
  Replication: 'Managed by Replication',
};

export const resourceType: DisplayTexts = {
  volume: 'Volume',
  volume_group: 'Volume Group',
};

export const importState: DisplayTexts = { Mirror_Enabled: 'Ready To Enable Destination Volume' };

export const importableCriteria: DisplayTexts = {
  Ready: 'Ready For Import',
  In_Progress: 'Import In Progress',
  Imported: 'Import Completed',
  Volume_Size_Not_Multiple_of_8192: 'Volume Size Not Multiple Of 8192',
};

export const groupImportableCriteria: DisplayTexts = {
  Ready: 'Ready For Import',
  In_Progress: 'Import In Progress',
  Imported: 'Import Completed',
};

export const jobState: DisplayTexts = {
  IN_PROGRESS: 'In_Progress',
  COMPLETED: 'Completed',
  FAILED: 'Failed',
  FAILING: 'Failing',
};

export const jobPhase: DisplayTexts = { In_Progress: 'In_Progress' };

export function display(texts: DisplayTexts, token: Json): Json {
  if (Array.isArray(token)) return token.map((one: Json) => display(texts, one));
  if (typeof token !== 'string') return null;
  return texts[token] ?? token.replaceAll('_', ' ');
}
