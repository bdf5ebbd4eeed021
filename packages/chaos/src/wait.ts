/** For what happens within milliseconds and must not hang a test that waits for it in vain. */
export const LIMIT_MILLIS = 15_000;

/**
 * @param what completes "… did not come within N ms".
 * @param details asked only when the wait is in vain: what was seen instead.
 */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  limitMillis: number = LIMIT_MILLIS,
  details: () => string = () => '',
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} did not come within ${limitMillis} ms${details()}`));
    }, limitMillis);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A list that grows, and whoever waits for what is not in it yet. Each entry is kept: a wait that
 * begins late still finds what has happened.
 */
export class Journal<T> {
  readonly entries: T[] = [];
  readonly #watchers = new Set<() => void>();
  #ended: Error | undefined;

  add(entry: T): void {
    this.entries.push(entry);
    for (const look of this.#watchers) look();
  }

  /** Nothing more comes; whoever waits, now or later, is told why. */
  end(reason: Error): void {
    this.#ended ??= reason;
    for (const look of this.#watchers) look();
  }

  /** @returns the position of the first entry from `since` on that is meant, once it is there. */
  async find(
    isMeant: (entry: T) => boolean,
    options: { since: number; what: string; limitMillis?: number | undefined },
  ): Promise<number> {
    const { since, what, limitMillis } = options;
    let from = since;
    let look = (): void => undefined;
    const found = new Promise<number>((resolve, reject) => {
      look = () => {
        for (; from < this.entries.length; from += 1) {
          if (isMeant(this.entries[from] as T)) return resolve(from);
        }
        if (this.#ended !== undefined) reject(this.#ended);
      };
    });
    this.#watchers.add(look);
    look();
    const seen = (): string => `; seen: ${JSON.stringify(this.entries.slice(since))}`;
    try {
      return await within(found, what, limitMillis, seen);
    } finally {
      this.#watchers.delete(look);
    }
  }
}

/** A promise that somebody else keeps. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  resolve: (value: T) => void = () => undefined;
  reject: (error: Error) => void = () => undefined;

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => undefined); // told to whoever waits; nobody has to
  }
}
