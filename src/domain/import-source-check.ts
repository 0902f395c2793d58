import type { SourceEndpoint, SourceSecret } from './import-source.ts';
import { refuse } from './refusal.ts';

const MAX_TEXT_LENGTH = 4096;
const MAX_PEM_LENGTH = 64 * 1024;
/** RFC 7143 wants 96 bits at least; many targets refuse more than 16 characters. */
const SHORTEST_CHAP_SECRET = 12;
const hostName = /^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$/;
const iscsiName = /^(iqn|eui|naa)\.[A-Za-z0-9.:-]{1,219}$/;

/** @throws Refusal `invalid` */
export function checkEndpoint(endpoint: SourceEndpoint): void {
  switch (endpoint.kind) {
    case 'nbd':
      checkAddress(endpoint);
      if (endpoint.tls === undefined) return;
      check('tls.authority', isPem(endpoint.tls.authority, 'CERTIFICATE'), 'a certificate in PEM');
      if (endpoint.tls.certificate === undefined) return;
      check('tls.certificate', isPem(endpoint.tls.certificate, 'CERTIFICATE'), 'one in PEM');
      return;
    case 'iscsi':
      checkAddress(endpoint);
      if (endpoint.initiatorName !== undefined) {
        const { initiatorName: name } = endpoint;
        check(
          'initiatorName',
          iscsiName.test(name),
          'a name such as iqn.2001-04.com.example:us',
          name,
        );
      }
      return checkText('chapUser', endpoint.chapUser);
    case 'file': {
      const { directory } = endpoint;
      const isAbsolute = directory.startsWith('/') && !directory.split('/').includes('..');
      return check('directory', isAbsolute, 'an absolute path without ..', directory);
    }
    case 'http': {
      const url = URL.parse(endpoint.baseUrl);
      const isPlain = url?.username === '' && url.password === '' && url.search === '';
      const isWeb = isPlain && (url.protocol === 'http:' || url.protocol === 'https:');
      check('baseUrl', isWeb, 'an http or https URL without a password or query', endpoint.baseUrl);
      return checkText('user', endpoint.user);
    }
  }
}

/** What goes with the endpoint and what does not. @throws Refusal `invalid` */
export function checkSecret(endpoint: SourceEndpoint, secret: SourceSecret | undefined): void {
  const user =
    endpoint.kind === 'iscsi'
      ? endpoint.chapUser
      : endpoint.kind === 'http'
        ? endpoint.user
        : undefined;
  const hasPassword = secret?.password !== undefined;
  const passwordWanted = user === undefined ? 'none, since there is no user' : "the user's";
  check('secret.password', hasPassword === (user !== undefined), passwordWanted);
  checkText('secret.password', secret?.password);
  if (endpoint.kind === 'iscsi' && (secret?.password ?? '').length < SHORTEST_CHAP_SECRET) {
    const wanted = `at least ${SHORTEST_CHAP_SECRET} characters (RFC 7143)`;
    check('secret.password', !hasPassword, wanted, 'fewer');
  }
  const certificate = endpoint.kind === 'nbd' ? endpoint.tls?.certificate : undefined;
  const hasKey = secret?.privateKey !== undefined;
  const keyWanted =
    certificate === undefined ? 'none, since there is no certificate' : 'its key in PEM';
  check('secret.privateKey', hasKey === (certificate !== undefined), keyWanted);
  if (secret?.privateKey !== undefined) {
    check('secret.privateKey', isPem(secret.privateKey, '[A-Z ]*PRIVATE KEY'), 'a key in PEM');
  }
}

function checkAddress({ host, port }: { readonly host: string; readonly port: number }): void {
  const isHost = host.length <= 253 && hostName.test(host);
  check('host', isHost, 'an IP address or a host name', host);
  const isPort = Number.isSafeInteger(port) && port >= 1 && port <= 65_535;
  check('port', isPort, 'a whole number from 1 to 65535', String(port));
}

function checkText(field: string, text: string | undefined): void {
  const fits = text === undefined || (text !== '' && text.length <= MAX_TEXT_LENGTH);
  const isPlain = text === undefined || !/\p{Cc}/u.test(text);
  check(field, fits && isPlain, `1 to ${MAX_TEXT_LENGTH} characters, none a control character`);
}

function isPem(text: string, label: string): boolean {
  const form = new RegExp(`-----BEGIN ${label}-----[\\s\\S]+-----END ${label}-----`);
  return text.length <= MAX_PEM_LENGTH && form.test(text);
}

/** @param seen absent for what must not be repeated in an answer or a log */
function check(field: string, isRight: boolean, wanted: string, seen = 'something else'): void {
  if (!isRight) refuse({ code: 'invalid', field, wanted, seen: seen.slice(0, 80) });
}
