const unitBytes = {
  '': 1,
  K: 1024,
  M: 1024 ** 2,
  G: 1024 ** 3,
  T: 1024 ** 4,
} as const;

const units = Object.entries(unitBytes).filter(([unit]) => unit !== '');

/**
 * A size as people type it: `4096`, `64K`, `256M`, `1.5G`, with or without `iB` behind.
 *
 * @returns bytes, a whole number.
 * @throws {RangeError} saying what a size looks like.
 */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([KMGT]?)(?:i?B)?$/i.exec(text);
  const unit = match?.[2]?.toUpperCase() ?? '';
  // The pattern lets no other unit through.
  const bytes = Number(match?.[1]) * unitBytes[unit as keyof typeof unitBytes];
  if (!Number.isSafeInteger(bytes)) {
    throw new RangeError(`'${text}' is not a size: a number of bytes, or one with K, M, G or T`);
  }
  return bytes;
}

/** A size as {@link parseSize} takes it, exact: in the largest unit of which it is a multiple. */
export function exactSize(bytes: number): string {
  const fitting = units.filter(([, unit]) => bytes >= unit && bytes % unit === 0);
  const [name, unit] = fitting.at(-1) ?? ['', 1];
  return `${bytes / unit}${name}`;
}
