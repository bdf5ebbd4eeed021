import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { pageBytes, probeHost } from '@godwit/posix';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import type { Guest } from '../src/guest.ts';
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
  capabilities: ['x-checksum'],
  device: Uint8Array.of(4, 5),
  blocks: [
    { id: 'pc.ram', byteLength: 8192, received: Uint8Array.of(1), sums: Uint8Array.of(6, 7) },
    { id: 'rom', byteLength: 4096, received: Uint8Array.of(0) },
  ],
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

test("a file that lies where it is written is nobody else's to read, and a link is not followed", () => {
  const path = `${newFolder('/tmp')}/journal`;
  writeFileSync(`${path}.new`, '', { mode: 0o644 });
  new CrashJournal(path).pause(state);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  writeFileSync(`${path}.other`, 'mine');
  symlinkSync(`${path}.other`, `${path}.new`);
  expect(() => new CrashJournal(path).pause(state)).toThrow('ELOOP');
  expect(readFileSync(`${path}.other`, 'utf8')).toBe('mine');
});

test('who takes it up once more finds what was said since', () => {
  const journal = new CrashJournal(paused());
  journal.pause({ ...state, isStopped: true });
  expect(journal.left).toEqual({ ...state, isStopped: true });
  journal.open();
  expect(journal.left).toBeUndefined();
});

test('whatever becomes of a byte of it, it is refused, or is what was left', () => {
  const path = paused();
  const whole = readFileSync(path);
  const change = fc.record({
    at: fc.nat(whole.byteLength - 1),
    to: fc.nat(255),
    isEnd: fc.boolean(),
  });
  fc.assert(
    fc.property(change, ({ at, to, isEnd }) => {
      const bytes = Buffer.from(isEnd ? whole.subarray(0, at) : whole);
      if (!isEnd) bytes[at] = to;
      writeFileSync(path, bytes);
      let left: PausedState | undefined;
      try {
        left = reading(path)().left;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_ARGUMENT' });
        return;
      }
      expect(left).toEqual(state);
    }),
    { numRuns: 1000 },
  );
});

test('a guest whose RAM ends with its process, or that cannot be frozen, has no journal', () => {
  const journal = new CrashJournal(paused());
  const options = { parameters: () => parameters, journal };
  const still = new QuietGuest(realRam([1]), false);
  expect(() => new DestinationMigration(still, options)).toThrow(/RAM in files/);
  const inFile = new QuietGuest(realRam([1], `file:${newFolder('/dev/shm')}/ram`), false);
  expect(() => new DestinationMigration(inFile, options)).toThrow(/`freeze` and `thaw`/);
});

/** A guest that can be taken up, and what a process has left of it. */
function leftGuest(): { guest: Guest; journal: CrashJournal } {
  const still = new QuietGuest(realRam([2], `file:${newFolder('/dev/shm')}/ram`), false);
  const guest = Object.assign(still, {
    freeze: async () => await Promise.resolve(Uint8Array.of(1)),
    thaw: () => undefined,
  });
  const path = `${newFolder('/tmp')}/journal`;
  const blocks = [{ id: 'ram0', byteLength: 2 * pageBytes, received: Uint8Array.of(1) }];
  new CrashJournal(path).pause({ ...state, pageChannels: 0, takesCompressed: false, blocks });
  return { guest, journal: new CrashJournal(path) };
}

test.skipIf(!probeHost().userfaultfd.available)(
  'where a guest that was left cannot be listened for at one address, another may be tried',
  async () => {
    const { guest, journal } = leftGuest();
    const options = { parameters: () => parameters, journal };
    const destination = new DestinationMigration(guest, options);
    onTestFinished(async () => await destination.close());
    const nowhere = { type: 'unix', path: '/nonexistent/socket' } as const;
    const somewhere = { type: 'tcp', host: '127.0.0.1', port: 0 } as const;
    await expect(destination.listen(nowhere)).rejects.toThrow(/ENOENT|EACCES/);
    await destination.listen(somewhere);
    expect(destination.status).toBe('postcopy-paused');
    expect((await destination.info())['x-ram']?.['received-pages']).toBe(1);
    await destination.close();
    const next = new DestinationMigration(guest, options);
    onTestFinished(async () => await next.close());
    await next.listen(somewhere);
    expect(next.status).toBe('postcopy-paused');
  },
);

test('what was left is left to one migration: after its end another may arrive', () => {
  const path = paused();
  const journal = new CrashJournal(path);
  journal.open(); // the guest goes on here
  expect(journal.left).toBeUndefined();
  const completed = new CrashJournal(paused());
  completed.remove(); // it was stopped until the last page had come
  expect(completed.left).toBeUndefined();
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

test('a journal that the disk takes a part of is not written, and the one before stays', () => {
  const path = paused();
  const before = readFileSync(path);
  // RLIMIT_FSIZE does what a full disk does: one write is cut short, the next one fails.
  const module = JSON.stringify(import.meta.resolve('../dist/migration/crash-journal.js'));
  const program = `
    import { CrashJournal } from ${module};
    const journal = new CrashJournal(${JSON.stringify(path)});
    journal.pause({ ...journal.left, device: new Uint8Array(64 * 1024) });
  `;
  const inShell = ['-c', 'ulimit -f 16; exec "$@"', 'sh', process.execPath];
  const running = (): unknown =>
    execFileSync('sh', [...inShell, '--input-type=module', '-e', program], { stdio: 'pipe' });
  expect(running).toThrow(/EFBIG/);
  expect(readFileSync(path)).toEqual(before);
});
