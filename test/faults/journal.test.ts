import { execFileSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { readFile, stat, unlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  expectWholeGuest,
  killAndTakeUp,
  pauseBoth,
  untilFaulted,
  withJournal,
} from '../support/journalled-pair.ts';
import { expectOwner, expectRunning, type Pair } from '../support/pair.ts';
import { fast } from '../support/parameters.ts';
import { Random } from '../support/seed.ts';
import { within } from '../support/wait.ts';

interface Signed {
  readonly receipt: {
    readonly capabilities: readonly string[];
    readonly 'ram-digests'?: readonly { readonly block: string; readonly digest: string }[];
  };
}

/** Nobody takes the guest up, and nobody runs it. */
async function expectRefused(pair: Pair, why: RegExp): Promise<void> {
  await expect(pair.startDestination('refused')).rejects.toThrow(why);
  expect((await pair.source.runStatus()).running).toBe(false);
}

/** On a machine under load too: the main thread is in openat(2), of a FIFO that nobody reads. */
async function untilOpening(pid: number): Promise<void> {
  const opening = { x64: '257', arm64: '56' }[process.arch as 'x64' | 'arm64'];
  const looking = async (): Promise<void> => {
    while ((await readFile(`/proc/${pid}/syscall`, 'utf8')).split(' ')[0] !== opening) {
      await sleep(5);
    }
  };
  await within(looking(), 'the writing of the journal');
}

/** How many pages are fetched by touching them before the pause, at most: whoever reads on gets neighbours too. */
const faultsMax = { sweep: 15, random: 200, zipf: 200 };

const guests = {
  'a sweep': { workload: 'sweep', vcpus: 1 },
  'two vCPUs at random': { workload: 'random', vcpus: 2 },
  'four vCPUs on a hot set, half of it zero': { workload: 'zipf', vcpus: 4, fill: 0.5 },
} as const;

describe.each(Object.entries(guests))('of %s', (name, guest) => {
  test('a destination killed while it is paused is taken up where it stood', async () => {
    await withJournal(guest, async (pair, kept) => {
      await pair.untilPostcopyActive();
      expect(await kept.state()).toBe('open');
      await untilFaulted(pair.destination, new Random(name).between(1, faultsMax[guest.workload]));
      await pauseBoth(pair);
      expect(await kept.state()).toBe('paused');
      expect((await stat(kept.journal)).mode & 0o777).toBe(0o600);
      await killAndTakeUp(pair, 'second');
      await expectWholeGuest(pair);
      expect(await kept.state()).toBe('none');
    });
  });
});

test('and again, where the second one is killed too: before it has a link and after it has run', async () => {
  await withJournal({ workload: 'random', vcpus: 2 }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    await untilFaulted(pair.destination, 50);
    await pauseBoth(pair);
    await killAndTakeUp(pair, 'second');
    await killAndTakeUp(pair, 'third');
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await expectRunning(pair, pair.destination);
    expect(await kept.state()).toBe('open');
    await untilFaulted(pair.destination, 50);
    await pauseBoth(pair);
    await killAndTakeUp(pair, 'fourth');
    await expectWholeGuest(pair);
  });
});

test('with page channels and compression, these are agreed on still', async () => {
  const parameters = { 'multifd-compression': 'zlib', 'max-postcopy-bandwidth': 100_000 };
  await withJournal({ workload: 'random', channels: 2, parameters }, async (pair) => {
    await pair.untilPostcopyActive();
    await pauseBoth(pair);
    await killAndTakeUp(pair, 'second');
    await expectWholeGuest(pair);
  });
});

test('with checksums and digests, these are agreed on still, and hold', async () => {
  await withJournal({ workload: 'random', vcpus: 2 }, async (pair) => {
    await pair.source.setCapabilities({ 'x-checksum': true, 'x-ram-digest': true });
    await pair.untilPostcopyActive();
    await untilFaulted(pair.destination, 50);
    await pauseBoth(pair);
    const second = await killAndTakeUp(pair, 'second');
    await expectWholeGuest(pair);
    expect(await pair.source.errorDescription()).toBeUndefined();
    const { receipt: ours } = await pair.source.execute<Signed>('x-query-migration-receipt');
    const { receipt: theirs } = await second.execute<Signed>('x-query-migration-receipt');
    expect(ours['ram-digests']).toMatchObject([{ block: 'pc.ram' }, { block: 'vga.vram' }]);
    expect(theirs['ram-digests']).toEqual(ours['ram-digests']);
    expect(theirs.capabilities).toEqual(expect.arrayContaining(['x-checksum', 'x-ram-digest']));
  });
});

test('killed when the order to run was lost, it is taken up and given the order', async () => {
  await withJournal({ workload: 'random' }, async (pair, kept) => {
    const link = await pair.openLink();
    const held = link.hold({ frame: 'run' });
    await pair.migrateByPostcopy(link.uri);
    await held.reached;
    link.cut();
    await pair.waitForBoth('postcopy-paused');
    expect(await kept.state()).toBe('paused');
    await killAndTakeUp(pair, 'second');
    await expectWholeGuest(pair);
  });
});

test('killed in a recovery before it goes on, it is taken up', async () => {
  await withJournal({ workload: 'random', vcpus: 2 }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    await pauseBoth(pair);
    const link = await pair.openLink();
    const held = link.hold({ frame: 'recovering' });
    await pair.resume(link.uri);
    await held.reached;
    expect(await kept.state()).toBe('paused');
    await pair.kill(pair.destination);
    link.cut();
    await pair.source.waitForStatus('postcopy-paused');
    const second = await pair.startDestination('second');
    await second.waitForStatus('postcopy-paused');
    await expectWholeGuest(pair);
  });
});

test('killed in a recovery after it has gone on, it is taken up by nobody', async () => {
  await withJournal({ workload: 'random' }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    await pauseBoth(pair);
    const link = await pair.openLink();
    const held = link.hold({ frame: 'resumed' });
    await pair.resume(link.uri);
    await held.reached;
    expect(await kept.state()).toBe('open');
    await pair.kill(pair.destination);
    link.cut();
    await pair.source.waitForStatus('postcopy-paused');
    await expectRefused(pair, /ended while it could run/);
  });
});

test('killed while the guest runs, it is taken up by nobody', async () => {
  await withJournal({ workload: 'random' }, async (pair) => {
    await pair.untilPostcopyActive();
    await pair.kill(pair.destination);
    await pair.source.waitForStatus('postcopy-paused');
    await expectRefused(pair, /ended while it could run.*To begin anew, remove it/);
  });
});

test('killed when the guest stands still and the journal is not written, it is taken up by nobody', async () => {
  await withJournal({ workload: 'random' }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    execFileSync('mkfifo', [`${kept.journal}.new`]);
    await pair.source.executeOob('migrate-pause');
    await pair.source.waitForStatus('postcopy-paused');
    await untilOpening(pair.destination.pid);
    expect(pair.destination.statuses).not.toContain('postcopy-paused');
    await pair.kill(pair.destination);
    await unlink(`${kept.journal}.new`);
    await expectRefused(pair, /ended while it could run/);
  });
});

test('where the journal cannot be written the guest goes on, and error-desc says why', async () => {
  await withJournal({ workload: 'random' }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    execFileSync('mkfifo', [`${kept.journal}.new`]);
    openSync(`${kept.journal}.new`, constants.O_RDONLY | constants.O_NONBLOCK);
    await pauseBoth(pair);
    expect(await pair.destination.errorDescription()).toMatch(/not in the journal: EINVAL.*fsync/);
    await expectRunning(pair, pair.destination);
    await unlink(`${kept.journal}.new`);
    await expectWholeGuest(pair);
  });
});

test('where no journal can be begun the guest stays at the source, which is told why', async () => {
  const extraArgs = ['--journal', '/nonexistent/journal'];
  await withJournal({ destination: { extraArgs } }, async (pair) => {
    await pair.migrate();
    await pair.source.waitForStatus('failed');
    expect(await pair.source.errorDescription()).toMatch(/ENOENT.*nonexistent/);
    await pair.expectFailed(pair.destination);
    expect(pair.destination.output).not.toContain('bug');
    await expectOwner(pair, pair.source);
  });
});

test('nobody else gets the RAM of a destination that lives', async () => {
  await withJournal({ workload: 'random' }, async (pair) => {
    await pair.untilPostcopyActive();
    await pauseBoth(pair);
    const { destination, uri } = pair;
    await expectRefused(pair, /another process has '.*' for guest RAM/);
    expect(pair.destination).toBe(destination);
    expect(pair.uri).toBe(uri);
    await expectWholeGuest(pair);
  });
});

test('a destination that discards leaves no journal', async () => {
  await withJournal({ workload: 'random' }, async (pair, kept) => {
    await pair.migrate();
    await pair.destination.waitForStatus('active');
    expect(await kept.state()).toBe('open');
    await pair.source.execute('migrate_cancel');
    await pair.expectFailed(pair.destination);
    expect(await kept.state()).toBe('none');
    await pair.source.waitForStatus('cancelled');
    await expectOwner(pair, pair.source);
  });
});

test('after completion there is no journal, and without one the guest goes on while it is paused', async () => {
  await withJournal({ parameters: fast }, async (pair, kept) => {
    await pair.migrateByPostcopy();
    await pair.waitForBoth('completed');
    expect(await kept.state()).toBe('none');
    await expectOwner(pair, pair.destination);
  });
  await withJournal({ destination: { extraArgs: [] } }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    await pauseBoth(pair);
    expect(await kept.state()).toBe('none');
    await expectRunning(pair, pair.destination);
    await expectWholeGuest(pair);
  });
});
