export type { FlipOptions } from './link/byte-flips.ts';
export { anyAddress, connectOptions, listenOn, type Transport } from './link/addresses.ts';
export { drawHop, type Hop } from './hop.ts';
export type { FrameMatcher } from './link/frame-matcher.ts';
export { reset } from './link/link-connection.ts';
export { LinkProxy, type LinkProxyOptions } from './link/link-proxy.ts';
export type { CutOptions } from './link/link-rules.ts';
export { Relay } from './link/relay.ts';
export {
  ANSWER_BYTES,
  type Direction,
  type FrameName,
  frameTypeName,
  GREETING_BYTES,
  HELLO_BYTES,
  openingBytes,
  openingOf,
  roleOf,
  type SeenFrame,
} from './link/wire-reader.ts';
export { ranTwice, type Told } from './ownership.ts';
export {
  type Holdings,
  type HopResult,
  PingPong,
  type PingPongOptions,
  pingPongSlack,
} from './ping-pong.ts';
export { Random, SEED_LIMIT } from './random.ts';
export { countMappings, type Resources, type Slack } from './resources.ts';
export { type RunResult, runOnce } from './run.ts';
export {
  type Fault,
  type FaultKind,
  faultKinds,
  type Offers,
  type Plan,
  planRun,
  type Point,
  triableKinds,
} from './schedule.ts';
export type { StageOptions } from './stage.ts';
export { type Ending, SpawnedGuest, type SpawnedGuestOptions } from './spawned-guest.ts';
export { Deferred, Journal, LIMIT_MILLIS, within } from './wait.ts';
