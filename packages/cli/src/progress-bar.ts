const FULL = '█';
const EMPTY = '░';
/** One to seven eighths of a cell. */
const EIGHTHS = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'] as const;

/** @param share 0 to 1; what lies outside is brought in. @returns exactly `width` cells. */
export function progressBar(share: number, width: number): string {
  const inside = Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : 0;
  const eighths = Math.floor(inside * width * 8);
  const full = Math.floor(eighths / 8);
  const part = EIGHTHS[(eighths % 8) - 1] ?? '';
  return FULL.repeat(full) + part + EMPTY.repeat(width - full - part.length);
}
