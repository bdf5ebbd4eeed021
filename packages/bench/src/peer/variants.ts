import type { MigrateBenchOptions } from '../migrate/options.ts';

/** One way in which QEMU does the job. */
export interface PeerVariant {
  /** For programs; does not change. */
  readonly key: 'qemu' | 'qemu-multifd' | 'qemu-preempt';
  readonly label: string;
  readonly postcopy: boolean;
  readonly preempt: boolean;
  /** 0: no multifd. */
  readonly multifdChannels: number;
}

/**
 * What QEMU has for a job. Postcopy is measured without and with the preempt channel, which is what
 * our urgent channel is; recovery with it.
 */
export function peerVariants({
  mode,
  channels,
}: Pick<MigrateBenchOptions, 'mode' | 'channels'>): readonly PeerVariant[] {
  const plain = { postcopy: false, preempt: false, multifdChannels: 0 };
  if (mode !== 'precopy') {
    const postcopy = { ...plain, postcopy: true };
    const preempt = {
      ...postcopy,
      key: 'qemu-preempt',
      label: 'QEMU preempt',
      preempt: true,
    } as const;
    if (mode === 'recovery') return [preempt];
    return [{ ...postcopy, key: 'qemu', label: 'QEMU' }, preempt];
  }
  if (channels === 1) return [{ ...plain, key: 'qemu', label: 'QEMU' }];
  const label = `QEMU multifd ${channels}`;
  return [{ ...plain, key: 'qemu-multifd', label, multifdChannels: channels }];
}
