const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Ctrl-C and its like end the waits, so that everything is cleared up on the way out. */
export function interruptible(): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const interrupt = (name: string): void => controller.abort(new Error(`ended by ${name}`));
  for (const name of names) process.on(name, interrupt);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const name of names) process.removeListener(name, interrupt);
    },
  };
}
