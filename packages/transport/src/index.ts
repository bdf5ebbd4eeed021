export { type Address, formatAddress, parseAddress, sameAddress } from './address.ts';
export { Channel } from './channel.ts';
export { channelSource, hasPeerLeft, pollingSource, writeBatch, writeBytes } from './channel-io.ts';
export { dial, type DialOptions } from './dial.ts';
export { assertNever, ChannelError, type ChannelErrorCode, channelErrorCodes } from './errors.ts';
export { checksumOf, sealFrame } from './framing/checksum.ts';
export {
  BLOCKS_MAX,
  type ControlMessage,
  type ControlType,
  controlTypes,
  decodeControl,
  type DestinationPhase,
  encodeControl,
  encodeDevice,
  type RamProof,
  type ReceivedProof,
} from './framing/control.ts';
export {
  BITMAP_BODY_BYTES_MAX,
  CHECKED_PAGES_BYTES_MAX,
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  type FrameLimits,
  FrameType,
  isRunInside,
  newFrameHeader,
  PAGES_BODY_BYTES_MAX,
  ZLIB_PAGES_BYTES_MAX,
} from './framing/frame.ts';
export { sealFrameHeader } from './framing/header-check.ts';
export { FrameBatch } from './framing/frame-batch.ts';
export { type ByteSource, FrameReader } from './framing/frame-reader.ts';
export { type Hello, PROTOCOL_VERSION, type Role } from './framing/opening.ts';
export {
  decodeProbeWord,
  encodeProbeWord,
  PROBE_BYTES_MAX,
  PROBE_DATA_BYTES_MAX,
  PROBE_WORD_BYTES,
  type ProbeManner,
  type ProbeWord,
} from './framing/probe-word.ts';
export { deflatePages, inflatePages } from './framing/zlib-pages.ts';
export { type Admission, Listener, type ListenOptions } from './listen.ts';
export { PendingOpenings } from './pending-openings.ts';
export { isSameMigration, newSession, type Session } from './session.ts';
export { loadPsk, loadX509, type X509Files } from './tls/credential-files.ts';
export { explainHandshake } from './tls/explain-tls.ts';
export { shakeHands } from './tls/handshake.ts';
export { clientOptions } from './tls/tls-options.ts';
export { type SecurityObject, SecurityObjects } from './tls/security-objects.ts';
export type {
  DialSecurity,
  ListenSecurity,
  PskCredentials,
  TlsCredentials,
  TlsEndpoint,
  X509Credentials,
} from './tls/credentials.ts';
