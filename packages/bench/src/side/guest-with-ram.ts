import type { Guest, RamBlock } from '@godwit/core';
import type { DummyGuest } from '@godwit/guest';

/** The guest with more RAM than it uses: what it has no program for it never touches. */
export function withRam(
  guest: DummyGuest,
  ram: readonly RamBlock[],
  onResumed: () => void = () => undefined,
): Guest {
  return {
    ram,
    get running() {
      return guest.running;
    },
    pause: async () => await guest.pause(),
    resume: async () => {
      await guest.resume();
      onResumed();
    },
    throttle: (percentage) => guest.throttle(percentage),
    saveDeviceState: () => guest.saveDeviceState(),
    loadDeviceState: (state) => guest.loadDeviceState(state),
  };
}
