import { refuse } from '../domain/refusal.ts';
import type { Importer } from '../ports/importer.ts';

const no = (): never =>
  refuse({
    code: 'unsupported',
    what: 'importing volumes',
    why: 'no data plane of this version can read a foreign source',
  });

/** Of a site whose data plane imports nothing: a source is refused before anything is kept. */
export const noImporter: Importer = {
  checkSource: no,
  listVolumes: no,
  probeVolume: no,
  open: no,
  copy: no,
  pause: no,
  inspect: no,
  compare: no,
  cutOver: no,
  abandon: no,
};
