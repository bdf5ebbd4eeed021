import {
  setKeepAlive,
  setSocketBuffers,
  setUnsentMax,
  setUserTimeout,
  SystemError,
} from '@godwit/posix';

/** errno of an option that this kind of socket does not have. */
const EOPNOTSUPP = 95;
/** Probes of an idle TCP connection that may stay without an answer. */
const PROBES = 3;

/** As of `Channel`, of one socket. */
export function limitUnsent(descriptor: number, byteLength: number): void {
  const isTcp = tryTcp(() => setUnsentMax(descriptor, byteLength));
  if (!isTcp) setSocketBuffers(descriptor, { sendBytes: byteLength });
}

/** As of `Channel`, of one socket. */
export function limitUnread(descriptor: number, byteLength: number): void {
  setSocketBuffers(descriptor, { receiveBytes: byteLength });
}

/** As of `Channel`, of one socket. */
export function limitSilence(descriptor: number, millis: number): void {
  const seconds = Math.max(1, Math.floor(millis / 1000 / (PROBES + 1)));
  tryTcp(() => {
    setUserTimeout(descriptor, millis);
    setKeepAlive(descriptor, { idleSeconds: seconds, intervalSeconds: seconds, count: PROBES });
  });
}

/** @returns whether this socket has options of TCP. */
function tryTcp(setOptions: () => void): boolean {
  try {
    setOptions();
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.errno === EOPNOTSUPP) return false;
    throw error;
  }
}
