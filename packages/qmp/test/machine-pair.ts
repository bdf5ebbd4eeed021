import { MachineFixture } from './machine-fixture.ts';

/** So slow that a guest of MANY_PAGES stays where it is until somebody does something. */
export const SLOWLY = { 'max-bandwidth': 100_000, 'max-postcopy-bandwidth': 100_000 };
export const FAST = { 'max-bandwidth': 0, 'max-postcopy-bandwidth': 0 };
export const MANY_PAGES = 1024;

/** A source, and a destination that listens and stays when it fails. */
export async function openPair(options: { pages?: number; paused?: boolean } = {}) {
  const { pages } = options;
  const source = await MachineFixture.open(options);
  const incoming = { incoming: true, ...(pages === undefined ? {} : { pages }) };
  const destination = await MachineFixture.open(incoming);
  source.guest.fill();
  await destination.listen();
  return {
    source,
    destination,
    uri: destination.uri,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await destination[Symbol.asyncDispose]();
    },
  };
}
