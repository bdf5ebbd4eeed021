import { openUserfaultfd } from '@godwit/posix';

/**
 * Opens a userfaultfd for guest memory. Without the privilege for more, for faults of user code only: that
 * is enough for guests whose vCPUs are threads of ours, since the engine touches no missing page itself,
 * and the kernel answers writes to protected ones (WP_ASYNC) without anybody's help.
 *
 * @throws {SystemError} `EPERM`, `ENOSYS`: refused either way; `EINVAL`: the kernel lacks a feature.
 */
export function openGuestUserfaultfd(features: number): number {
  try {
    return openUserfaultfd({ features });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return openUserfaultfd({ features, userModeOnly: true });
  }
}
