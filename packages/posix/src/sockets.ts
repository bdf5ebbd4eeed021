import { ENOTCONN, SystemError } from './errors.ts';
import { checkIoctl } from './ioctl.ts';
import { check, declare, lastErrno } from './libc.ts';
import { StructMemory } from './struct-memory.ts';

const libcShutdown = declare('shutdown', 'int', ['int', 'int']);
const libcSocketpair = declare('socketpair', 'int', ['int', 'int', 'int', 'uintptr_t']);
const libcSetsockopt = declare('setsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uint32_t']);
const libcGetsockopt = declare('getsockopt', 'int', [
  'int',
  'int',
  'int',
  'uintptr_t',
  'uintptr_t',
]);

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_USER_TIMEOUT = 18;
const TCP_NOTSENT_LOWAT = 25;
const FIONREAD = 0x541b;
const SIOCOUTQ = 0x5411;
const shutdownHow = { read: 0, write: 1, both: 2 } as const;

// Two ints for arguments and answers. Overwritten by every call; each thread loads its own copy.
const ints = new StructMemory(8);
const INT_BYTES = 4;

/** Bytes of a socket's buffers, as the kernel counts them. */
export interface SocketBuffers {
  readonly sendBytes: number;
  readonly receiveBytes: number;
}

/**
 * Ends one direction or both, for every descriptor of the socket; a thread blocked on it returns.
 * A socket whose peer has gone already (`ENOTCONN`) is as good as shut down.
 */
export function shutdownSocket(fd: number, how: 'read' | 'write' | 'both'): void {
  if (libcShutdown(fd, shutdownHow[how]) < 0 && lastErrno() !== ENOTCONN) {
    throw new SystemError(lastErrno(), 'shutdown');
  }
}

/** Sends small segments at once. @throws {SystemError} `EOPNOTSUPP` when it is not a TCP socket. */
export function setNoDelay(fd: number): void {
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

/**
 * Asks for buffers of a size; the kernel grants up to `net.core.wmem_max` and `rmem_max`. Once set,
 * a TCP socket's buffer no longer grows by itself.
 *
 * @returns what holds now: as a rule twice what was asked, for the kernel's own bookkeeping.
 */
export function setSocketBuffers(
  fd: number,
  { sendBytes, receiveBytes }: Partial<SocketBuffers>,
): SocketBuffers {
  if (sendBytes !== undefined) setOption(fd, SOL_SOCKET, SO_SNDBUF, sendBytes);
  if (receiveBytes !== undefined) setOption(fd, SOL_SOCKET, SO_RCVBUF, receiveBytes);
  return {
    sendBytes: getOption(fd, SOL_SOCKET, SO_SNDBUF),
    receiveBytes: getOption(fd, SOL_SOCKET, SO_RCVBUF),
  };
}

/**
 * Bounds what a TCP socket holds that it has not sent yet: a write waits once there is as much. What
 * is under way, as much as the link takes, is not bounded by it.
 *
 * @throws {SystemError} `EOPNOTSUPP` when it is not a TCP socket.
 */
export function setUnsentMax(fd: number, byteLength: number): void {
  setOption(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, byteLength);
}

/** Two connected, blocking stream sockets. @throws {SystemError} `EMFILE`, `ENFILE`. */
export function socketPair(): [number, number] {
  check(libcSocketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ints.address), 'socketpair');
  return [ints.i32[0] ?? -1, ints.i32[1] ?? -1];
}

/** Bytes received and not read yet (FIONREAD). */
export function pendingBytes(fd: number): number {
  checkIoctl('ioctl FIONREAD', fd, FIONREAD, ints.address);
  return ints.i32[0] ?? 0;
}

/**
 * Bytes written that the peer has not acknowledged (TCP) or not read (Unix) yet (SIOCOUTQ). On a
 * Unix socket the kernel counts the memory it holds for them, which is more.
 */
export function unsentBytes(fd: number): number {
  checkIoctl('ioctl SIOCOUTQ', fd, SIOCOUTQ, ints.address);
  return ints.i32[0] ?? 0;
}

/** How long sent data may stay unacknowledged before TCP gives up; 0: the system's default. */
export function setUserTimeout(fd: number, millis: number): void {
  setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, millis);
}

/**
 * Probes an idle TCP peer.
 *
 * @param options.idleSeconds silence before the first probe.
 * @param options.count probes without an answer after which the connection is given up.
 */
export function setKeepAlive(
  fd: number,
  options: {
    readonly idleSeconds: number;
    readonly intervalSeconds: number;
    readonly count: number;
  },
): void {
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, options.idleSeconds);
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, options.intervalSeconds);
  setOption(fd, IPPROTO_TCP, TCP_KEEPCNT, options.count);
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

function setOption(fd: number, level: number, option: number, value: number): void {
  ints.i32[0] = value;
  check(libcSetsockopt(fd, level, option, ints.address, INT_BYTES), 'setsockopt');
}

function getOption(fd: number, level: number, option: number): number {
  ints.i32[1] = INT_BYTES; // getsockopt takes the length by its address
  const length = ints.address + INT_BYTES;
  check(libcGetsockopt(fd, level, option, ints.address, length), 'getsockopt');
  return ints.i32[0] ?? 0;
}
