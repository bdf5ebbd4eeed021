import { fileURLToPath } from 'node:url';

/** This command, for those that start guests in processes of their own. */
export const GODWIT = fileURLToPath(new URL('../bin/godwit.js', import.meta.url));
