/** The last message to a thread: it ends when it has taken it. */
export const endMessage = 'end';
