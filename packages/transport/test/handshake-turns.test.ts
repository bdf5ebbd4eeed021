import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ChannelError } from '../src/errors.ts';
import { HANDSHAKES_MAX, HandshakeTurns } from '../src/tls/handshake-turns.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An opening, and a thread that does what the test says. */
class FakeOpening {
  isBeginning = false;
  reason: ChannelError | undefined;
  begun: () => void = () => undefined;
  ended: () => void = () => undefined;

  constructor(turns: HandshakeTurns, from: string) {
    turns.ask(this, from, {
      begin: () => void (this.isBeginning = true),
      begun: new Promise((resolve) => (this.begun = resolve)),
      ended: new Promise((resolve) => (this.ended = resolve)),
    });
  }

  destroy(reason: ChannelError): void {
    this.reason = reason;
  }
}

const count = (openings: readonly FakeOpening[], which: 'isBeginning' | 'reason'): number =>
  openings.filter((opening) => opening[which]).length;

/** So many ask; each thread is there as soon as it has begun. */
async function crowd(turns: HandshakeTurns, from: string, size: number): Promise<FakeOpening[]> {
  const openings = Array.from({ length: size }, () => new FakeOpening(turns, from));
  for (const { begun } of openings) begun();
  await vi.advanceTimersByTimeAsync(0);
  return openings;
}

test('few threads begin at once: of those that wait the newest is next in turn with the oldest', async () => {
  const turns = new HandshakeTurns();
  const strangers = Array.from({ length: 100 }, () => new FakeOpening(turns, 'a'));
  const own = new FakeOpening(turns, 'a');
  expect(count(strangers, 'isBeginning')).toBe(4);
  expect(own.isBeginning).toBe(false);
  for (const { begun } of strangers.slice(0, 2)) begun();
  await vi.advanceTimersByTimeAsync(0);
  expect(own.isBeginning).toBe(true);
  expect(strangers[4]?.isBeginning).toBe(true);
  expect(count(strangers, 'isBeginning')).toBe(5);
});

test('a thread counts until it is gone, dropped or not', async () => {
  const turns = new HandshakeTurns();
  const strangers = await crowd(turns, 'a', 2 * HANDSHAKES_MAX);
  expect(count(strangers, 'isBeginning')).toBe(HANDSHAKES_MAX);
  await vi.advanceTimersByTimeAsync(499);
  expect(count(strangers, 'reason')).toBe(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(count(strangers, 'reason')).toBe(4);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(count(strangers, 'isBeginning')).toBe(HANDSHAKES_MAX);
  for (const { reason, ended } of strangers) if (reason !== undefined) ended();
  await vi.advanceTimersByTimeAsync(0);
  expect(count(strangers, 'isBeginning')).toBe(HANDSHAKES_MAX + 4);
});

test('who comes from another address than the crowd is next, and is not dropped for it', async () => {
  const turns = new HandshakeTurns();
  const [own] = await crowd(turns, 'b', 1);
  const strangers = await crowd(turns, 'a', 2 * HANDSHAKES_MAX);
  const [second] = await crowd(turns, 'b', 1);
  await crowd(turns, 'a', HANDSHAKES_MAX);
  await vi.advanceTimersByTimeAsync(5000);
  strangers.find(({ reason }) => reason !== undefined)?.ended();
  await vi.advanceTimersByTimeAsync(0);
  expect(second?.isBeginning).toBe(true);
  expect(own?.reason).toBeUndefined();
});

test('one that has become a channel makes room, and one that was given up does not begin', async () => {
  const turns = new HandshakeTurns();
  const openings = await crowd(turns, 'a', HANDSHAKES_MAX);
  const [givenUp, next] = [new FakeOpening(turns, 'a'), new FakeOpening(turns, 'a')];
  expect(next.isBeginning).toBe(false);
  turns.givenUp(givenUp);
  for (const opening of openings.slice(0, 2)) turns.opened(opening);
  expect(next.isBeginning).toBe(true);
  expect(givenUp.isBeginning).toBe(false);
});
