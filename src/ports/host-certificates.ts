/** Issues the certificates by which hosts prove themselves to this site's data plane. */
export interface HostCertificates {
  issue(hostName: string): Promise<HostBundle>;
}

/** The files that a host needs, by the names that QEMU and libnbd look for. */
export interface HostBundle {
  readonly 'ca-cert.pem': string;
  readonly 'client-cert.pem': string;
  readonly 'client-key.pem': string;
}
