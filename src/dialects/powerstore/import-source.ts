/**
 * A foreign system as the vendor's clients name it: a remote system of type `Universal`, which speaks
 * iSCSI, or NBD as `data_connection_type` TCP. Files and web servers the vendor has no words for:
 * those are made by the native API, and shown here.
 */
import { Type } from 'typebox';
import type { Static } from 'typebox';
import type { SourceView } from '../../app/import-views.ts';
import type { AddSource } from '../../app/import-sources.ts';
import { USUAL_PORTS } from '../../domain/import-source.ts';
import { refuse } from '../../domain/refusal.ts';
import { PowerStoreError } from './errors.ts';
import type { Json } from './schemas.ts';
import { Clearable, Name, body } from './schemas.ts';
import { refuseUnkept } from './volume.ts';

export const IMPORT_CAPABILITIES = ['Block_Agentless_Import', 'Block_Nondisruptive_Import'];

const Address = Type.String({ minLength: 1, maxLength: 253 });
const Secret = Type.String({ minLength: 1, maxLength: 256 });
const ChapMode = Type.Optional(Type.Enum(['Disabled', 'Single', 'Mutual']));

/** What a remote system is made of. */
export const RemoteSystem = body({
  name: Type.Optional(Name),
  description: Type.Optional(Clearable),
  management_address: Type.Optional(Address),
  management_port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
  type: Type.Enum([
    'PowerStore',
    'Unity',
    'VNX',
    'PS_Equallogic',
    'Storage_Center',
    'XtremIO',
    'NetApp',
    'PowerProtect_DD',
    'PowerMax_VMAX',
    'Universal',
  ]),
  data_connection_type: Type.Optional(Type.Enum(['iSCSI', 'TCP', 'FC', 'DD_Boost'])),
  data_network_latency: Type.Optional(
    Type.Enum(['Low', 'Low_Medium', 'Medium', 'Medium_High', 'High']),
  ),
  iscsi_addresses: Type.Optional(Type.Array(Address, { maxItems: 16 })),
  discovery_chap_mode: ChapMode,
  session_chap_mode: ChapMode,
  import_chap_info: Type.Optional(
    body({
      initiator_session_username: Type.Optional(Secret),
      initiator_session_password: Type.Optional(Secret),
    }),
  ),
  remote_username: Type.Optional(Type.String({ maxLength: 256 })),
  remote_password: Type.Optional(Type.String({ maxLength: 256 })),
});

export type RemoteSystemWanted = Static<typeof RemoteSystem>;

/** @throws PowerStoreError, Refusal `unsupported` when it is none that volumes can come in from */
export function sourceIn(wanted: RemoteSystemWanted): AddSource {
  const { type, name, data_connection_type: connection = 'iSCSI' } = wanted;
  if (type !== 'Universal') {
    const why = 'foreign systems are of type Universal: they are read over iSCSI or NBD';
    refuse({ code: 'unsupported', what: `a remote system of type ${type}`, why });
  }
  if (name === undefined) {
    throw new PowerStoreError('invalid_body', 'The property [name] is required.', 'name');
  }
  refuseUnkept('description', wanted.description, '');
  refuseUnkept('remote_username', wanted.remote_username, '');
  refuseUnkept('discovery_chap_mode', wanted.discovery_chap_mode, 'Disabled');
  if (connection === 'iSCSI') return { name, ...overIscsi(wanted) };
  if (connection === 'TCP') return { name, ...overNbd(wanted) };
  const why = 'volumes come in over iSCSI, or over NBD as TCP';
  return refuse({ code: 'unsupported', what: `data_connection_type ${connection}`, why });
}

function overIscsi(wanted: RemoteSystemWanted): Omit<AddSource, 'name'> {
  const { iscsi_addresses: [host = addressOf(wanted), ...others] = [], session_chap_mode: mode } =
    wanted;
  if (others.length > 0) {
    const why = 'one path is used: give the address that it goes to';
    refuse({ code: 'unsupported', what: 'a second iSCSI address', why });
  }
  if (mode === 'Mutual') {
    const why = 'this system proves itself to the target, and not the other way';
    refuse({ code: 'unsupported', what: 'session_chap_mode Mutual', why });
  }
  const address = { kind: 'iscsi', host, port: USUAL_PORTS.iscsi } as const;
  if (mode !== 'Single') return { endpoint: address };
  const { initiator_session_username: chapUser, initiator_session_password: password } =
    wanted.import_chap_info ?? {};
  if (chapUser === undefined || password === undefined) {
    const what = 'import_chap_info';
    const sentence = `[${what}] has to have initiator_session_username and initiator_session_password.`;
    throw new PowerStoreError('invalid_body', sentence, what);
  }
  return { endpoint: { ...address, chapUser }, secret: { password } };
}

function overNbd(wanted: RemoteSystemWanted): Omit<AddSource, 'name'> {
  const { management_port: port = USUAL_PORTS.nbd } = wanted;
  return { endpoint: { kind: 'nbd', host: addressOf(wanted), port } };
}

function addressOf({ management_address: address }: RemoteSystemWanted): string {
  if (address !== undefined) return address;
  const what = 'management_address';
  throw new PowerStoreError('invalid_body', `The property [${what}] is required.`, what);
}

/** Where a source is, as far as the vendor has words for it. */
export function sayEndpoint({ endpoint }: SourceView) {
  const unsaid = {
    management_address: null as Json,
    management_port: null as Json,
    user_name: '',
    data_connection_type: null as Json,
    iscsi_addresses: [] as Json,
    session_chap_mode: 'Disabled',
  };
  switch (endpoint.kind) {
    case 'nbd': {
      const { host, port } = endpoint;
      const at = { management_address: host, management_port: port };
      return { ...unsaid, ...at, data_connection_type: 'TCP' };
    }
    case 'iscsi': {
      const { host, chapUser } = endpoint;
      return {
        ...unsaid,
        management_address: host,
        user_name: chapUser ?? '',
        data_connection_type: 'iSCSI',
        iscsi_addresses: [host],
        session_chap_mode: chapUser === undefined ? 'Disabled' : 'Single',
      };
    }
    case 'file':
      return unsaid;
    case 'http':
      return { ...unsaid, management_address: new URL(endpoint.baseUrl).hostname };
  }
}
