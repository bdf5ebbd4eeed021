const decimalUnits = { '': 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12 } as const;
const binaryUnits = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;
type Unit = keyof typeof decimalUnits;

const PAGE_BYTES = 4096;
/** Of Node's timers: more is taken for 1. */
const TIMER_MILLIS_MAX = 2 ** 31 - 1;

/**
 * A rate as people type it. `100M` and `100MiB/s` count in 2^20 bytes, as QEMU's monitor does; `100MB/s`
 * in 10^6, as we print it; `1Gbit/s` in 10^9 bits, as networks do. `/s` may be left out.
 *
 * @returns bytes per second, a whole number.
 * @throws {RangeError} saying what a rate looks like.
 */
export function parseRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([KMGT]?)(iB|B|bit)?(?:\/s)?$/i.exec(text);
  const unit = (match?.[2] ?? '').toUpperCase() as Unit; // the pattern lets no other through
  const kind = match?.[3]?.toLowerCase();
  const units = kind === 'b' || kind === 'bit' ? decimalUnits : binaryUnits;
  const bytes = Math.round((Number(match?.[1]) * units[unit]) / (kind === 'bit' ? 8 : 1));
  if (!Number.isSafeInteger(bytes)) {
    throw new RangeError(
      `'${text}' is not a rate: bytes per second, as 100M/s (2^20), 100MB/s (10^6) or 1Gbit/s`,
    );
  }
  return bytes;
}

/**
 * How fast a guest writes: `20000` or `20k` pages per second, or bytes per second in pages: `80M/s`.
 *
 * @returns pages per second; that it is possible the guest says.
 * @throws {RangeError} saying what it looks like.
 */
export function parsePageRate(text: string): number {
  const pages = /^(-?\d+(?:\.\d+)?)([kM]?)$/.exec(text);
  if (pages !== null) {
    return Number(pages[1]) * decimalUnits[(pages[2] ?? '').toUpperCase() as Unit];
  }
  try {
    return parseRate(text) / PAGE_BYTES;
  } catch (error) {
    const told = `'${text}' is not a page rate: pages per second, as 20000 or 20k, or bytes, as 80M/s`;
    throw new RangeError(told, { cause: error });
  }
}

/**
 * A duration: `300`, `300ms`, `1.5s`, `2min`; 24 days at most.
 *
 * @returns milliseconds.
 * @throws {RangeError} saying what a duration looks like.
 */
export function parseMillis(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(ms|s|min)?$/.exec(text);
  const factors: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000 };
  const millis = Number(match?.[1]) * (factors[match?.[2] ?? 'ms'] ?? Number.NaN);
  if (Number.isNaN(millis) || millis > TIMER_MILLIS_MAX) {
    throw new RangeError(`'${text}' is not a duration: milliseconds, or with a unit: 300ms, 1.5s`);
  }
  return millis;
}
