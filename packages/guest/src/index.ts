export { CLOSE_LIMIT_MILLIS, DummyGuest, type DummyGuestOptions } from './dummy-guest.ts';
export { DEVICE_STATE_BYTES_MAX, type DeviceState } from './device-state.ts';
export { GuestError, guestErrorCodes } from './errors.ts';
export { PAGE_BYTES } from './pages/memory-pages.ts';
export type { BadPage } from './pages/page-check.ts';
export { type GuestProgram, VCPU_COUNT_MAX, type Workload, workloads } from './program.ts';
export {
  BAD_PAGES_NAMED_MAX,
  type GuestExpectation,
  verifyGuest,
  type VerifyResult,
} from './verifier.ts';
