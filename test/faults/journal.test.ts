import { execFileSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { readFile, stat, unlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { GuestProcess } from '../support/guest-process.ts';
import { killAndTakeUp, withJournal } from '../support/journalled-pair.ts';
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

/** The guest runs at the destination and has fetched so many pages by touching them. */
async function untilFaulted(guest: GuestProcess, faults: number): Promise<void> {
  const looking = async (): Promise<void> => {
    for (;;) {
      const info = await guest.execute<{ 'x-faults': { faults: number } }>('query-migrate');
      if (info['x-faults'].faults >= faults) return;
      await sleep(10); // nothing tells of it
    }
  };
  await within(looking(), `${faults} faults`);
}

/** So many pages have come since now. */
async function untilReceived(guest: GuestProcess, more: number): Promise<void> {
  const count = async (): Promise<number> => {
    const info = await guest.execute<{ 'x-ram': { 'received-pages': number } }>('query-migrate');
    return info['x-ram']['received-pages'];
  };
  const looking = async (): Promise<void> => {
    const before = await count();
    while ((await count()) < before + more) await sleep(10); // nothing tells of it
  };
  await within(looking(), `${more} pages`);
}

async function pauseBoth(pair: Pair): Promise<void> {
  await pair.source.executeOob('migrate-pause');
  await pair.waitForBoth('postcopy-paused');
}

/** The link is new, the rest follows, and every byte is what it must be. */
async function expectWholeGuest(pair: Pair): Promise<void> {
  await pair.resume();
  await pair.waitForBoth('postcopy-active');
  await pair.untilCompleted();
  await expectOwner(pair, pair.destination);
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

test('killed while the user has it stopped and pages come, it is taken up, and stays stopped', async () => {
  await withJournal({ workload: 'random', vcpus: 2 }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    await untilFaulted(pair.destination, 50);
    await pair.destination.execute('stop');
    expect(await kept.state()).toBe('paused');
    await pair.destination.execute('cont');
    expect(await kept.state()).toBe('open');
    await pair.destination.execute('stop');
    await pair.source.setParameters({ 'max-postcopy-bandwidth': 1_000_000 });
    await untilReceived(pair.destination, 1000);
    await pair.kill(pair.destination);
    await pair.source.waitForStatus('postcopy-paused');
    const second = await pair.startDestination('second');
    await second.waitForStatus('postcopy-paused');
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    expect(await second.runStatus()).toEqual({ running: false, status: 'paused' });
    await second.execute('cont');
    await pair.untilCompleted();
    await expectOwner(pair, second);
  });
});

/** Where a vCPU waits for a page, the answer is that it has not stopped: it was heard all the same. */
async function stopPaused(guest: GuestProcess): Promise<void> {
  await guest.execute('stop').catch((error: unknown) => {
    expect((error as Error).message).toMatch(/has not stopped within/);
  });
}

async function killWithLink(pair: Pair, name: string): Promise<GuestProcess> {
  const next = killAndTakeUp(pair, name);
  await pair.source.waitForStatus('postcopy-paused');
  return await next;
}

test('a stop or a cont while it is paused is heard by whoever takes it up', async () => {
  await withJournal({ workload: 'random' }, async (pair) => {
    await pair.untilPostcopyActive();
    await pauseBoth(pair);
    await stopPaused(pair.destination);
    const second = await killAndTakeUp(pair, 'second');
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    expect(await second.runStatus()).toEqual({ running: false, status: 'paused' });
    await pauseBoth(pair);
    await second.execute('cont');
    const third = await killAndTakeUp(pair, 'third');
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await expectRunning(pair, third);
    await pauseBoth(pair);
    await expectWholeGuest(pair);
  });
});

test('killed when a stopped guest has its link back, it is taken up still, and stays stopped', async () => {
  await withJournal({ workload: 'random' }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    await pair.destination.execute('stop');
    for (const name of ['second', 'third']) {
      await pauseBoth(pair);
      await pair.resume();
      await pair.waitForBoth('postcopy-active');
      expect(await kept.state()).toBe('paused');
      const next = await killWithLink(pair, name);
      expect(await next.runStatus()).toEqual({ running: false, status: 'paused' });
      await pair.resume();
      await pair.waitForBoth('postcopy-active');
    }
    await pair.destination.execute('cont');
    expect(await kept.state()).toBe('open');
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
  });
});

test.each([
  ['while its link is up', true],
  ['while it is paused', false],
])(
  'stopped before the order to run, %s, it arrives stopped where it is taken up',
  async (_, isUp) => {
    await withJournal({ workload: 'random' }, async (pair) => {
      const link = await pair.openLink();
      const held = link.hold({ frame: 'run' });
      await pair.migrateByPostcopy(link.uri);
      await held.reached;
      if (isUp) await pair.destination.execute('stop');
      link.cut();
      await pair.waitForBoth('postcopy-paused');
      if (!isUp) await pair.destination.execute('stop');
      const second = await killAndTakeUp(pair, 'second');
      await pair.resume();
      await pair.waitForBoth('postcopy-active');
      expect(await second.runStatus()).toEqual({ running: false, status: 'paused' });
      await second.execute('cont');
      await pair.untilCompleted();
      await expectOwner(pair, second);
    });
  },
);

test('a stop that the journal does not take is refused, and changes nothing', async () => {
  await withJournal({ workload: 'random' }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    await pauseBoth(pair);
    execFileSync('mkfifo', [`${kept.journal}.new`]);
    openSync(`${kept.journal}.new`, constants.O_RDONLY | constants.O_NONBLOCK);
    await expect(pair.destination.execute('stop')).rejects.toThrow(/not in the journal.*EINVAL/);
    await unlink(`${kept.journal}.new`);
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    await expectRunning(pair, pair.destination);
    await pair.untilCompleted();
    await expectOwner(pair, pair.destination);
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

test('while it is journalled the guest does not run, whoever says so; one that was stopped stays so', async () => {
  await withJournal({ workload: 'random' }, async (pair) => {
    await pair.untilPostcopyActive();
    await pair.destination.execute('stop');
    await pauseBoth(pair);
    const second = await killAndTakeUp(pair, 'second');
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    expect(await second.runStatus()).toEqual({ running: false, status: 'paused' });
    await pauseBoth(pair);
    await second.execute('cont');
    expect((await second.runStatus()).running).toBe(false);
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
