import { expect, test } from 'vitest';
import {
  FIRST_PAGE_READER,
  MAIN_READER,
  Placing,
  PlacingGate,
} from '../src/threads/placing-gate.ts';
import { inWorker } from './in-worker.ts';

function openGate(pageChannels = 0): PlacingGate {
  const gate = new PlacingGate();
  gate.pageChannels = pageChannels;
  gate.openLink(Placing.INTO_MEMORY);
  return gate;
}

test('pages are taken as the gate says now, and not once it is closed', () => {
  const gate = openGate();
  expect(gate.enter(MAIN_READER)).toBe(Placing.INTO_MEMORY);
  gate.leave(MAIN_READER);
  gate.close();
  expect(gate.enter(MAIN_READER)).toBe(Placing.CLOSED);
  gate.placeByFault();
  expect(gate.enter(FIRST_PAGE_READER)).toBe(Placing.BY_FAULT);
});

test('who is refused at the gate is not busy: closing it again waits for nobody', () => {
  const gate = openGate();
  gate.close();
  gate.enter(FIRST_PAGE_READER);
  gate.breakLink(); // so that waiting shows as an error rather than as a hang
  expect(() => gate.close()).not.toThrow();
});

test('threads see one gate', () => {
  const gate = openGate(2);
  gate.userfaultfd = 7;
  const other = new PlacingGate(gate.buffer);
  expect(other.userfaultfd).toBe(7);
  expect(other.pageChannels).toBe(2);
  other.close();
  expect(gate.mode).toBe(Placing.CLOSED);
});

test('a sync point is passed once every channel has come to it', () => {
  const gate = openGate(2);
  const early = new PlacingGate(gate.buffer);
  gate.breakLink(); // so that waiting shows as an error rather than as a hang
  expect(() => early.arrive(1)).toThrow('the link ended');
  expect(() => early.arrive(1)).toThrow('the link ended');
  early.arrive(1);
  expect(() => early.arrive(2)).toThrow('the link ended');
});

test('a new link begins with its first sync point', () => {
  const gate = openGate(0);
  gate.arrive(1);
  gate.arrive(2);
  gate.openLink(Placing.CLOSED);
  gate.breakLink();
  expect(() => gate.arrive(2)).toThrow('the link ended');
});

test('a reader that tells more than is listened to waits until some of it is taken', () => {
  const gate = openGate();
  gate.breakLink(); // so that waiting shows as an error rather than as a hang
  for (let told = 0; told < 64; told += 1) gate.tellOne();
  expect(() => gate.tellOne()).toThrow('the link ended');
  gate.takeOne();
  gate.tellOne();
  expect(() => gate.tellOne()).toThrow('the link ended');
  gate.openLink(Placing.INTO_MEMORY);
  for (let told = 0; told < 64; told += 1) gate.tellOne();
});

test('a reader that waits for another channel sees when its own has ended', () => {
  const gate = new PlacingGate(undefined, () => true);
  gate.pageChannels = 1;
  expect(() => gate.arrive(1)).toThrow('the source left');
  gate.enter(FIRST_PAGE_READER);
  expect(() => gate.close()).toThrow('the source left');
});

const closing = {
  modules: ['threads/placing-gate'],
  body: `
    const gate = new lib.PlacingGate(data);
    tell('closes');
    try { gate.close(); return 'closed'; } catch (error) { return error.message; }`,
};

test('closing waits for a reader that is busy until it leaves', async () => {
  const gate = openGate();
  gate.enter(FIRST_PAGE_READER);
  const { told, answer } = inWorker({ ...closing, data: gate.buffer });
  expect(await told).toBe('closes');
  while (gate.mode !== Placing.CLOSED) await new Promise(setImmediate);
  gate.leave(FIRST_PAGE_READER);
  expect(await answer).toBe('closed');
});

test('closing waits no longer than the link lives', async () => {
  const gate = openGate();
  gate.enter(FIRST_PAGE_READER);
  const { told, answer } = inWorker({ ...closing, data: gate.buffer });
  expect(await told).toBe('closes');
  gate.breakLink();
  expect(await answer).toContain('the link ended');
});

test('whether requested pages have a channel of their own holds for one link', () => {
  const gate = openGate();
  expect(gate.isUrgentSeparate).toBe(false);
  gate.isUrgentSeparate = true;
  expect(new PlacingGate(gate.buffer).isUrgentSeparate).toBe(true);
  gate.openLink(Placing.BY_FAULT);
  expect(gate.isUrgentSeparate).toBe(false);
});
