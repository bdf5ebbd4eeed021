import type { SecurityObjects } from '@godwit/transport';
import type { Parameters } from '../parameters.ts';
import type { CrashJournal } from './crash-journal.ts';
import type { DestinationStatus } from './status.ts';
import type { SwitchoverReady } from './switchover-ack.ts';

export interface DestinationOptions {
  readonly parameters: () => Parameters;
  readonly uuid?: string | undefined;
  /** How many vCPU threads may fault, for the time in which all of them wait; default 1. */
  readonly vcpus?: number;
  /** Capability postcopy-blocktime; default false. */
  readonly blocktime?: boolean;
  /** Page channels to be ready for while nobody waits; the source decides how many there are; default 0. */
  readonly pageChannels?: number;
  /** What the parameters `tls-creds` and `tls-authz` name; left out, nothing is there to be named. */
  readonly security?: SecurityObjects | undefined;
  /** With the capability `switchover-ack`: the source does not stop the guest before; default at once. */
  readonly switchoverReady?: SwitchoverReady | undefined;
  /**
   * What the guest is paused for and written to while its link is down; it may be taken up by another process.
   * Who gives one calls `guestGoesOn` before the guest goes on after it stood still, and best `guestWanted`
   * and `guestStopped` as well.
   */
  readonly journal?: CrashJournal | undefined;
}

export interface DestinationEvents {
  /** Every change of status, exactly once. */
  status: [status: DestinationStatus];
}
