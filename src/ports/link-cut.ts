/**
 * Closes connections that nothing answers any more. A silent link holds writes and even commands
 * to a daemon; closing the socket in this machine's kernel frees them at once.
 */
export interface LinkCut {
  /** Tries it on a connection of its own. */
  probe(): Promise<LinkCutProbe>;

  /**
   * Closes every connection of this machine to that address and port, and every one that came in
   * there. Does nothing when there is none.
   *
   * @returns how many were closed
   * @throws Failure when some could not be closed
   */
  cutConnections(host: string, port: number): Promise<number>;
}

export interface LinkCutProbe {
  readonly possible: boolean;
  /** Why not, or how it was seen to work. */
  readonly why: string;
}
