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

/** The same for a door of this machine. */
export interface ListenerCut {
  /**
   * Closes the listening socket at that address and port, then every connection that came in there.
   * The program whose they were sees the connections fail; that nobody comes in any more it does
   * not notice. Does nothing when nobody listens.
   *
   * @throws Failure when something could not be closed
   */
  closeListener(host: string, port: number): Promise<void>;
}

export interface LinkCutProbe {
  readonly possible: boolean;
  /** Why not, or how it was seen to work. */
  readonly why: string;
}
