import type { CpuSeconds } from '../migrate/runs.ts';
import type { StallRun } from '../migrate/stalls.ts';
import type { PeerRecovery } from './qemu-recovery.ts';
import type { PeerVariant } from './variants.ts';

/** One migration of QEMU's; the words mean what they mean in our own runs. */
export interface PeerRun {
  readonly variant: PeerVariant;
  readonly millis: number;
  readonly bytesPerSecond: number;
  readonly cpuSecondsPerGib: CpuSeconds;
  readonly downtimeMillis: number;
  readonly passes: number;
  /** In postcopy. */
  readonly stalls?: StallRun;
  /** In recovery. */
  readonly recovery?: PeerRecovery;
}

/** With what was compared; or why with nothing. */
export type PeerDescription =
  | {
      readonly type: 'qemu';
      readonly command: string;
      readonly version: string;
      readonly accelerator: 'kvm' | 'tcg';
    }
  | { readonly type: 'qemu'; readonly missing: string };
