import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The built file of a thread, from `src` and `dist` alike: threads always run what we ship. */
export function threadFile(name: 'fill' | 'vcpu' | 'verifier'): string {
  return require.resolve(`#threads/${name}`);
}
