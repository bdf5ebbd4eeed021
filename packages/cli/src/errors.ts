/** What the shell is told. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** The command line asks for something that is not possible; the text says what would be. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
