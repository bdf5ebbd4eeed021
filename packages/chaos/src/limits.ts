/** What each wait of a run may take, in milliseconds; what takes longer has been found. */
export const limits = {
  /** `x-handshake-timeout` of both sides: each step in which one waits for the other's word. */
  handshake: 3000,
  /** An attempt, from the command to an end or a pause, on both sides. */
  attempt: 40_000,
  /** The proof of every page. */
  verify: 30_000,
  /** STOP and RESUME after the command. */
  runState: 5000,
  /** Threads, descriptors and mappings after the end. */
  giveBack: 10_000,
  /** A process, after quit or after the failure that ends it. */
  end: 10_000,
} as const;
