/** What can go wrong with the dummy guest; callers match on the code. */
export const guestErrorCodes = {
  ERR_DEVICE_STATE: 'the device state is not one this guest can take over; the guest is unchanged',
  ERR_GUEST_RUNNING: 'this needs a stopped guest: pause it first',
  ERR_GUEST_CLOSED: 'the guest was closed',
  ERR_VCPU_STUCK:
    'a vCPU did not stop in time, most likely on a page that never came; only leaving the process by exitGroup ends it',
  ERR_VCPU_CRASHED: 'a vCPU thread failed; its step count no longer tells what is in RAM',
} as const;

export class GuestError extends Error {
  override readonly name = 'GuestError';
  readonly code: keyof typeof guestErrorCodes;

  constructor(code: keyof typeof guestErrorCodes, detail?: string, options?: ErrorOptions) {
    super(
      detail === undefined ? guestErrorCodes[code] : `${guestErrorCodes[code]}: ${detail}`,
      options,
    );
    this.code = code;
  }
}
