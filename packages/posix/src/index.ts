export { copyMemory } from './copy-memory.ts';
export { SystemError, describeErrno } from './errors.ts';
export { createEventfd, drainEventfd, signalEventfd } from './eventfd.ts';
export { tryLockFile } from './file-lock.ts';
export { FaultEvent, FaultFlag, FaultReader } from './fault-reader.ts';
export { FaultWriter } from './fault-writer.ts';
export {
  IoVector,
  closeDescriptor,
  duplicateDescriptor,
  read,
  readFully,
  readv,
  setBlocking,
  tryRead,
  tryReadv,
  tryReceive,
  tryWrite,
  tryWritev,
  write,
  writeFully,
  writev,
} from './io.ts';
export { createMemfd, dataRanges, hasData, setFileBytes } from './memory-files.ts';
export {
  Advice,
  NativeBuffer,
  advise,
  lockPages,
  mapAnonymous,
  mapShared,
  nameMapping,
  pageBytes,
  unlockPages,
  unmap,
  viewMemory,
} from './mmap.ts';
export { PageCategory, PagemapScanner, openPagemap } from './pagemap.ts';
export type { PagemapQuery } from './pagemap.ts';
export { createPipe } from './pipe.ts';
export type { Pipe } from './pipe.ts';
export { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLRDHUP, PollSet } from './poll.ts';
export { probeHost, probeMemory } from './probe.ts';
export type {
  Capability,
  HostCapabilities,
  MemoryCapabilities,
  UserfaultfdCapability,
} from './probe.ts';
export { exitGroup, threadCpuMicros, threadId } from './process.ts';
export { requestShortSlice } from './scheduling.ts';
export { ScratchBuffer } from './scratch-buffer.ts';
export {
  pendingBytes,
  setKeepAlive,
  setNoDelay,
  setSocketBuffers,
  setUnsentMax,
  setUserTimeout,
  shutdownSocket,
  socketPair,
  unsentBytes,
} from './sockets.ts';
export type { SocketBuffers } from './sockets.ts';
export {
  Features,
  RegisterMode,
  openUserfaultfd,
  registerRange,
  unregisterRange,
} from './userfaultfd.ts';
export type { UserfaultfdOptions } from './userfaultfd.ts';
export {
  CopyMode,
  copyPages,
  tryContinuePages,
  tryCopyPages,
  tryZeroPages,
  wakeRange,
  writeProtectRange,
} from './userfaultfd-pages.ts';
export { isZeroMemory } from './zero-memory.ts';
