/**
 * Mixes the bits of a 32-bit word; a bijection, so different words stay different.
 *
 * @see MurmurHash3, fmix32 (Austin Appleby, public domain).
 */
export function mix(word: number): number {
  let bits = word ^ (word >>> 16);
  bits = Math.imul(bits, 0x85ebca6b);
  bits ^= bits >>> 13;
  bits = Math.imul(bits, 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

/** The inverse of `mix`: the multipliers are the inverses of its own modulo 2^32. */
export function unmix(word: number): number {
  let bits = word ^ (word >>> 16);
  bits = Math.imul(bits, 0x7ed1b41d);
  bits ^= (bits >>> 13) ^ (bits >>> 26);
  bits = Math.imul(bits, 0xa5cb9243);
  return bits ^ (bits >>> 16);
}

/** A 32-bit word from several; for a fixed beginning, a bijection of the last word. */
export function mixAll(...words: readonly number[]): number {
  let bits = 0;
  for (const word of words) bits = mix(mix(word + 0x3c6ef372) ^ bits);
  return bits;
}

/** Scales a 32-bit word to an integer in `[0, limit)`; `limit` up to 2^32. */
export function scaleBelow(word: number, limit: number): number {
  return Math.floor(((word >>> 0) / 2 ** 32) * limit);
}
