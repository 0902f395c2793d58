/** The one type that all volumes have. */
import type { FastifyPluginAsync } from 'fastify';
import { clipped } from './bodies.ts';
import { Fault } from './errors.ts';
import { derivedId } from './ids.ts';
import type { EvsOptions } from './options.ts';

export const VOLUME_TYPE = 'baton';

const type = {
  id: derivedId('type', VOLUME_TYPE),
  name: VOLUME_TYPE,
  description: 'Thinly provisioned, can be replicated to the other zone.',
  is_public: true,
  'os-volume-type-access:is_public': true,
  extra_specs: {},
  qos_specs_id: null,
} as const;

export function isVolumeType(reference: string): boolean {
  return [VOLUME_TYPE, type.id, 'default', ''].includes(reference);
}

export const types: FastifyPluginAsync<EvsOptions> = async (http) => {
  const view = { needs: 'view' } as const;

  http.get('/types', { config: view }, async () => ({ volume_types: [type] }));

  http.get('/types/:id', { config: view }, async (request) => {
    const { id } = request.params as { readonly id: string };
    if (id === 'default' || id === type.id) return { volume_type: type };
    throw new Fault(404, `Volume type ${clipped(id)} could not be found.`);
  });
};
