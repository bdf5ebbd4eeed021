/** As fast as it goes, and QEMU's downtime limit: one or two passes are enough. */
export const fast = { 'max-bandwidth': 0 };

/**
 * Precopy does not end by itself: nothing may be left to send, and a guest writes several times faster
 * than this, so that it keeps ahead also where the machine is busy and it gets little of it.
 */
export const endless = { 'max-bandwidth': 60_000_000, 'downtime-limit': 0 };

/** Ends an endless precopy with its next pass. */
export const converging = { 'max-bandwidth': 0, 'downtime-limit': 10_000 };

/** Postcopy does not end by itself soon: the bulk crawls, and the guest asks for the rest. */
export const crawling = { ...endless, 'max-postcopy-bandwidth': 100_000 };

/** What a guest asks for in a second, so that pages are still missing after seconds. */
export const CALM_RATE = 500;
