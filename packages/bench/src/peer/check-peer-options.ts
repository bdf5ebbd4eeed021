import type { MigrateBenchOptions } from '../migrate/options.ts';
import { type PeerWorkload, peerWorkloads } from './boot-sector.ts';

const MIB_BYTES = 2 ** 20;
/** Above, QEMU's PC has RAM in two pieces, of which the guest fills one. */
const MEMORY_BYTES_MAX = 2 ** 31;
const RATE_STEP = 1000;

/** @throws {RangeError} saying what QEMU, or its guest, cannot be asked for. */
export function checkPeerOptions(options: MigrateBenchOptions): void {
  if (options.peer === undefined) return;
  const { memoryBytes, untouchedBytes = 0, workload, rate, zlibLevel } = options;
  if (zlibLevel !== undefined) {
    throw new RangeError('--compression: not with --peer qemu, whose guest has other content');
  }
  if (options.tls !== undefined) throw new RangeError('--tls: not with --peer qemu');
  if (untouchedBytes > 0) {
    throw new RangeError(
      `${untouchedBytes} bytes never touched: not with --peer qemu, whose guest fills all it has`,
    );
  }
  if (memoryBytes > MEMORY_BYTES_MAX || memoryBytes % MIB_BYTES !== 0) {
    throw new RangeError(
      `--memory ${memoryBytes}: with --peer qemu whole MiB up to 2 GiB, all that its guest fills`,
    );
  }
  if (!peerWorkloads.includes(workload as PeerWorkload)) {
    const known = peerWorkloads.join(', ');
    throw new RangeError(`--workload ${workload}: with --peer qemu one of ${known}`);
  }
  if (rate % RATE_STEP !== 0) {
    throw new RangeError(`--rate ${rate}: with --peer qemu whole thousands of pages/s`);
  }
}
