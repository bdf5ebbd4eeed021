/** Figures for people: three digits that count, and the unit in which they read best. */

const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
const decimalUnits = ['B/s', 'kB/s', 'MB/s', 'GB/s'] as const;

/** `260 MiB` */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1024, binaryUnits);
}

/** `1.25 GB/s`; decimal, as network speeds are. */
export function formatRate(bytesPerSecond: number): string {
  return scaled(bytesPerSecond, 1000, decimalUnits);
}

/** `850 µs`, `2.35 ms`, `1.20 s`, `2 min 5 s` */
export function formatMillis(millis: number): string {
  if (millis >= 60_000) {
    const seconds = Math.round(millis / 1000);
    return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  }
  if (millis >= 999.5) return `${threeDigits(millis / 1000)} s`;
  if (millis >= 0.9995 || millis === 0) return `${threeDigits(millis)} ms`;
  return `${threeDigits(millis * 1000)} µs`;
}

/** `1.2 s`, always in seconds with one decimal: for a clock, whose digits should not jump. */
export function formatClock(millis: number): string {
  return `${(millis / 1000).toFixed(1)} s`;
}

/** `52 %`; 100 only when it is all. */
export function formatShare(share: number): string {
  return `${share >= 1 ? 100 : Math.max(0, Math.min(99, Math.floor(share * 100)))} %`;
}

/** `1 page`, `3 pages` */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : nouns}`;
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let scaledValue = value;
  let index = 0;
  // 999.5 would round to 1000.
  while (scaledValue >= Math.min(step, 999.5) && index < units.length - 1) {
    scaledValue /= step;
    index += 1;
  }
  return `${index === 0 ? Math.round(scaledValue) : threeDigits(scaledValue)} ${units[index]}`;
}

function threeDigits(value: number): string {
  if (value >= 99.95) return value.toFixed(0);
  if (value >= 9.995) return value.toFixed(1);
  return value.toFixed(2);
}
