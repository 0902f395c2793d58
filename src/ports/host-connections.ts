/** Who is connected to a data plane, whatever program it is. */
export interface HostConnections {
  /**
   * @returns the remote address of each connection that stands, hosts' and others'; empty where this
   *   machine cannot tell
   */
  addresses(host: string, port: number): Promise<readonly string[]>;
}
