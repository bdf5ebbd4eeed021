/** What a promise rejects with; taken at once, so that it is not unhandled meanwhile. */
export async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it has not failed');
}
