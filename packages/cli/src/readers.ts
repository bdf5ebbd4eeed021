import { exitCodes } from './errors.ts';

let isNeeded = true;

/** `godwit … | head`: whoever read has read enough, and the process ends. */
export function endWithReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (isNeeded) process.exit(exitCodes.done);
  });
}

/** From now on it goes on unread: what it does must not be left in the middle. */
export function goOnWithoutReader(): void {
  isNeeded = false;
}

/** What is said beside the result may go unheard: nothing ends because of that, least of all a guest. */
export function goOnUnheard(): void {
  process.stderr.on('error', () => undefined);
}
