import { setSocketBuffers, setUnsentMax, SystemError } from '@godwit/posix';

/** errno of an option that this kind of socket does not have. */
const EOPNOTSUPP = 95;

/** Bounds what waits in a socket to be sent: a write waits instead. Of a Unix socket it is the size of the buffer. */
export function limitUnsent(descriptor: number, byteLength: number): void {
  try {
    setUnsentMax(descriptor, byteLength);
  } catch (error) {
    if (!(error instanceof SystemError) || error.errno !== EOPNOTSUPP) throw error;
    setSocketBuffers(descriptor, { sendBytes: byteLength });
  }
}

/** Bounds what waits in a socket to be read. */
export function limitUnread(descriptor: number, byteLength: number): void {
  setSocketBuffers(descriptor, { receiveBytes: byteLength });
}
