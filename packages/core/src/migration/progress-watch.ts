/**
 * Looks every so often whether a count has grown since, until it is disposed of.
 *
 * @param onStall it has not, for a whole period; told each time.
 */
export function watchProgress(
  count: () => number,
  millis: number,
  onStall: () => void,
): Disposable {
  let before = count();
  const timer = setInterval(() => {
    const now = count();
    if (now === before) onStall();
    before = now;
  }, millis);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
