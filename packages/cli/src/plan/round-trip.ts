import { type Address, ChannelError, dial, newSession } from '@godwit/transport';

const TRIES = 5;
const TIMEOUT_MILLIS = 5_000;
/** To connect is one, hello and answer are the other. */
const TRIPS_IN_AN_OPENING = 2;

/**
 * How long a word and its answer take, from here to a destination that waits. It asks to join a migration
 * that nobody knows and is refused, which leaves a destination as it was: a source may come meanwhile.
 *
 * @returns milliseconds; the shortest of a few tries.
 * @throws {ChannelError} nobody listens there, or no Godwit.
 */
export async function measureRoundTrip(address: Address): Promise<number> {
  let shortest = Infinity;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const started = performance.now();
    await knock(address);
    shortest = Math.min(shortest, performance.now() - started);
  }
  return shortest / TRIPS_IN_AN_OPENING;
}

async function knock(address: Address): Promise<void> {
  const opening = { role: 'main', epoch: 1, timeoutMillis: TIMEOUT_MILLIS } as const;
  try {
    const channel = await dial(address, { session: newSession(), ...opening });
    channel.close(); // nobody can know a session that was made just now
  } catch (error) {
    if (!(error instanceof ChannelError) || error.code !== 'ERR_REFUSED') throw error;
  }
}
