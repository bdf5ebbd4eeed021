import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';

const require = createRequire(import.meta.url);

/**
 * Starts the built file of a thread, from `src` and `dist` alike: threads always run what we ship.
 * The process's own flags are not handed on, for `--conditions` would lead the thread to sources.
 */
export function startThread(
  file: 'fill' | 'vcpu' | 'verifier',
  workerData: unknown,
  name: string = file,
): Worker {
  return new Worker(require.resolve(`#threads/${file}`), { workerData, name, execArgv: [] });
}
