import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CrashJournal, type PausedState } from '../src/migration/crash-journal.ts';
import { DestinationMigration } from '../src/migration/destination.ts';
import { parameters, QuietGuest } from './hand-made-peer.ts';
import { newFolder, realRam } from './real-ram.ts';

const state: PausedState = {
  migrationId: new Uint8Array(16).fill(1),
  secret: new Uint8Array(32).fill(2),
  epoch: 3,
  phase: 'running',
  isStopped: false,
  pageChannels: 2,
  takesCompressed: true,
  heartbeatMillis: 1000,
  device: Uint8Array.of(4, 5),
  blocks: [{ id: 'pc.ram', byteLength: 8192, received: Uint8Array.of(1) }],
};

function paused(): string {
  const path = `${newFolder('/tmp')}/journal`;
  new CrashJournal(path).pause(state);
  return path;
}

function rewrite(path: string, change: (text: string) => string): void {
  writeFileSync(path, change(readFileSync(path, 'utf8')));
}

function reading(path: string): () => CrashJournal {
  return () => new CrashJournal(path);
}

test('what one process has left is what the next one finds, and nobody else reads', () => {
  const path = paused();
  expect(new CrashJournal(path).left).toEqual(state);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('a guest whose RAM ends with its process, or that cannot be frozen, has no journal', () => {
  const journal = new CrashJournal(paused());
  const options = { parameters: () => parameters, journal };
  const still = new QuietGuest(realRam([1]), false);
  expect(() => new DestinationMigration(still, options)).toThrow(/RAM in files/);
  const inFile = new QuietGuest(realRam([1], `file:${newFolder('/dev/shm')}/ram`), false);
  expect(() => new DestinationMigration(inFile, options)).toThrow(/`freeze` and `thaw`/);
});

test('no file is no guest: a migration may begin', () => {
  const path = paused();
  const journal = new CrashJournal(path);
  journal.remove();
  expect(new CrashJournal(path).left).toBeUndefined();
});

test('a guest that could run when its process ended is refused, with what is lost', () => {
  const path = paused();
  new CrashJournal(path).open();
  expect(reading(path)).toThrow(expect.objectContaining({ code: 'ERR_ARGUMENT' }));
  expect(reading(path)).toThrow(/what the guest did here is lost.*remove it/);
});

test('a journal of another boot is refused: the pages were in memory', () => {
  const path = paused();
  expect(() => new CrashJournal(path, 'another boot')).toThrow(/booted since.*lost/);
});

test.each([
  ['cut short', (text: string) => text.slice(0, -20), /no journal/],
  ['of a later version', (text: string) => text.replace('"version":1', '"version":2'), /version/],
  ['with a bit flipped', (text: string) => text.replace('"epoch":3', '"epoch":2'), /damaged/],
  ['that is something else', () => '[]', /version/],
  ['of nothing', () => 'null', /version/],
] as const)('a journal %s is refused', (_name, change, why) => {
  const path = paused();
  rewrite(path, change);
  expect(reading(path)).toThrow(why);
});
