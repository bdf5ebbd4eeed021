import { anyAddress, type Transport } from './addresses.ts';
import type { GuestOptions } from './guest-options.ts';
import { GuestProcess } from './guest-process.ts';
import { listeningAddress } from './listening-address.ts';
import type { TestDirectory } from './test-directory.ts';

type OptionsOfOne = Partial<Omit<GuestOptions, 'name' | 'directory' | 'incoming'>>;

export interface PairOptions extends OptionsOfOne {
  /** Default unix. */
  readonly transport?: Transport | undefined;
  /** Only of the source, or of the destinations. */
  readonly source?: OptionsOfOne;
  readonly destination?: OptionsOfOne;
  /** Capability postcopy-ram on both sides; default off. */
  readonly postcopy?: boolean;
  /** Capability postcopy-preempt on both sides; default on, as in the engine. */
  readonly preempt?: boolean;
  /** Page channels: capability multifd on both sides; default none. */
  readonly channels?: number;
  /** Of the source, before the migration. */
  readonly parameters?: Record<string, number | string>;
  /** Milliseconds, on both sides: `x-handshake-timeout`. */
  readonly handshakeMillis?: number;
}

/** A guest process that listens for another's guest. */
export interface Listening {
  readonly guest: GuestProcess;
  readonly uri: string;
}

/** Pages per second: faster than `endless` can send, and the processors are left to others. */
const DEFAULT_RATE = 250_000;

export interface DestinationOptions {
  readonly directory: TestDirectory;
  readonly options: PairOptions;
  /** Where to listen; default anywhere. */
  readonly uri?: string | undefined;
  /** It has begun, and does not listen yet. */
  readonly beforehand?: ((guest: GuestProcess) => Promise<unknown>) | undefined;
}

export async function startDestination(
  name: string,
  { directory, options, uri, beforehand }: DestinationOptions,
): Promise<Listening> {
  const { destination, transport = 'unix' } = options;
  const incoming = 'defer';
  const own = { ...options, ...destination, name, directory, incoming };
  const guest = await startGuest(own, options);
  try {
    await beforehand?.(guest);
    await guest.execute('migrate-incoming', { uri: uri ?? anyAddress(transport, directory.path) });
    return { guest, uri: await listeningAddress(guest) };
  } catch (error) {
    await guest[Symbol.asyncDispose]();
    throw error;
  }
}

export async function startGuest(own: GuestOptions, options: PairOptions): Promise<GuestProcess> {
  const { postcopy = false, preempt, channels, handshakeMillis } = options;
  const guest = await GuestProcess.start({ rate: DEFAULT_RATE, ...own });
  await guest.setCapabilities({
    'postcopy-ram': postcopy,
    ...(preempt === undefined ? {} : { 'postcopy-preempt': preempt }),
  });
  if (channels !== undefined) {
    await guest.setCapabilities({ multifd: true });
    await guest.setParameters({ 'multifd-channels': channels });
  }
  if (handshakeMillis !== undefined) {
    await guest.setParameters({ 'x-handshake-timeout': handshakeMillis });
  }
  return guest;
}
