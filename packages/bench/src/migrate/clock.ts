/**
 * Milliseconds of CLOCK_MONOTONIC, which every process of the machine reads the same: so what begins
 * in one process and ends in another can be timed.
 */
export function monotonicMillis(): number {
  const [seconds, nanos] = process.hrtime();
  return seconds * 1000 + nanos / 1e6;
}

/** CPU seconds of all threads of this process, in user and in kernel mode, so far. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
