/** Round values from 0 to at least `max`, `countMax` steps at most; the last one ends the axis. */
export function ticksTo(max: number, countMax: number): number[] {
  if (!(max > 0)) return [0, 1];
  const magnitude = 10 ** Math.floor(Math.log10(max / countMax));
  const rough = max / countMax / magnitude;
  const step = ([1, 2, 5, 10].find((candidate) => candidate >= rough - 1e-9) ?? 10) * magnitude;
  const count = Math.ceil(max / step - 1e-9);
  // Multiplied and rounded, not added up: 0.1 + 0.2 is no label.
  return Array.from({ length: count + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}
