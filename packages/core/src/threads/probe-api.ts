/** What a link was found to carry. */
export interface LinkSample {
  /** Of the push that was measured, as the destination has counted it. */
  readonly bytes: number;
  readonly millis: number;
  /** Bytes per second that a destination reads into fresh memory. */
  readonly bandwidth: number;
  /** The same where each page is placed by fault; undefined where that host cannot. */
  readonly placedBandwidth: number | undefined;
  /** The shortest of a few. */
  readonly roundTripMillis: number;
}

/** The dialling side; the descriptor is blocking, and whoever owns it wakes the thread. */
export type ProbeSenderCommands = {
  /** @see LinkSample; 0 milliseconds are round trips only. */
  measure: { argument: { descriptor: number; millis: number }; answer: LinkSample };
};

/** The side that listens. */
export type ProbeReceiverCommands = {
  /** Answers until the connection ends. */
  serve: { argument: { descriptor: number }; answer: void };
};
