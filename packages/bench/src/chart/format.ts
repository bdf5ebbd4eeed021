/** `38 µs`, `1.3 ms`, `11 ms` */
export function formatMicros(micros: number): string {
  if (micros < 999.5) return `${short(micros)} µs`;
  if (micros < 999_500) return `${short(micros / 1000)} ms`;
  return `${short(micros / 1e6)} s`;
}

/** 2^n microseconds as people say it, a millisecond taken for 1024 of them: `64 µs`, `32 ms`. */
export function formatOctave(octave: number): string {
  if (octave < 10) return `${2 ** octave} µs`;
  if (octave < 20) return `${2 ** (octave - 10)} ms`;
  return `${2 ** (octave - 20)} s`;
}

function short(value: number): string {
  return value >= 9.95 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '');
}
