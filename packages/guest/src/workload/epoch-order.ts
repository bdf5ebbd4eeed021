import { mixAll, scaleBelow } from '../mix.ts';

/**
 * Visits `size` places for ever, each once per epoch. In epoch e the i-th place is
 * `(stride_e * i + start_e) mod size`, with a stride prime to the size, so every epoch is a
 * permutation; stride and start are drawn from the seed and e. Without a seed, every epoch goes
 * up from 0.
 *
 * The closed form: after `count` visits every place was visited `floor(count / size)` times, and
 * the first `count mod size` places of the epoch begun once more.
 */
export class EpochOrder {
  readonly size: number;
  readonly #seed: number | undefined;
  #epoch: number;
  #index: number;
  #stride = 1;
  #place = 0;

  /** @param count the visits already made: the order goes on from there. */
  constructor(size: number, seed: number | undefined, count: number) {
    this.size = size;
    this.#seed = seed;
    this.#epoch = Math.floor(count / size);
    this.#index = count % size;
    this.#drawEpoch();
    this.#place = addModulo(multiplyModulo(this.#stride, this.#index, size), this.#place, size);
  }

  next(): number {
    const place = this.#place;
    this.#index += 1;
    if (this.#index === this.size) {
      this.#index = 0;
      this.#epoch += 1;
      this.#drawEpoch();
    } else {
      this.#place = addModulo(place, this.#stride, this.size);
    }
    return place;
  }

  /** Sets `#stride` and `#place` to those of the beginning of `#epoch`. */
  #drawEpoch(): void {
    if (this.#seed === undefined || this.size === 1) {
      this.#place = 0;
      return;
    }
    const bits = mixAll(this.#seed, Math.floor(this.#epoch / 2 ** 32), this.#epoch);
    this.#stride = coprimeBelow(this.size, bits);
    this.#place = scaleBelow(mixAll(bits, 1), this.size);
  }
}

/** A number in `[1, size)` that is prime to `size`, drawn from `bits`; `size` is at least 2. */
export function coprimeBelow(size: number, bits: number): number {
  let candidate = 1 + scaleBelow(bits, size - 1);
  while (greatestCommonDivisor(candidate, size) !== 1) {
    candidate = candidate === size - 1 ? 1 : candidate + 1; // 1 is always prime to it: this ends
  }
  return candidate;
}

/** `(a + b) mod modulus`, of two numbers below the modulus. */
export function addModulo(a: number, b: number, modulus: number): number {
  const sum = a + b;
  return sum >= modulus ? sum - modulus : sum;
}

/**
 * `(a * b) mod modulus`, exact while the product is below 2^53. Dividing and correcting is several
 * times faster than `%`, which V8 leaves to fmod.
 */
export function multiplyModulo(a: number, b: number, modulus: number): number {
  const product = a * b;
  const rest = product - Math.floor(product / modulus) * modulus;
  if (rest < 0) return rest + modulus;
  return rest >= modulus ? rest - modulus : rest;
}

function greatestCommonDivisor(a: number, b: number): number {
  let [larger, smaller] = [b, a];
  while (smaller !== 0) {
    const rest = larger % smaller;
    larger = smaller;
    smaller = rest;
  }
  return larger;
}
