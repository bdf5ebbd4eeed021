/** `64 µs`, `1 ms`, `2.5 s`: for axes, where 1024 µs is a millisecond. */
export function formatMicros(micros: number): string {
  if (micros < 999.5) return `${short(micros)} µs`;
  if (micros < 999_500) return `${short(micros / 1000)} ms`;
  return `${short(micros / 1e6)} s`;
}

function short(value: number): string {
  return value >= 9.95 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
}
