import { execFileSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { unlink } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { GuestProcess } from '../support/guest-process.ts';
import {
  expectWholeGuest,
  killAndTakeUp,
  pauseBoth,
  untilFaulted,
  untilReceived,
  withJournal,
} from '../support/journalled-pair.ts';
import { expectOwner, expectRunning, type Pair } from '../support/pair.ts';

/** Who has taken it up runs it when it is told to, and not before. */
async function expectStaysStopped(pair: Pair, guest: GuestProcess): Promise<void> {
  await pair.resume();
  await pair.waitForBoth('postcopy-active');
  expect(await guest.runStatus()).toEqual({ running: false, status: 'paused' });
  await guest.execute('cont');
  await pair.untilCompleted();
  await expectOwner(pair, guest);
}

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
    await expectStaysStopped(pair, second);
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
      await expectStaysStopped(pair, second);
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
    await pair.resume();
    await second.waitForEvent('RESUME');
    await pair.waitForBoth('postcopy-active');
    await pair.untilCompleted();
    await expectOwner(pair, second);
  });
});

test('killed while pages come to a guest that came stopped, it is taken up, and stays stopped', async () => {
  await withJournal({ workload: 'random' }, async (pair, kept) => {
    await pair.source.execute('stop');
    await pair.untilPostcopyActive();
    await expect.poll(async () => await kept.state()).toBe('paused');
    const second = await killWithLink(pair, 'second');
    await pair.resume();
    await pair.waitForBoth('postcopy-active');
    expect(await second.runStatus()).toEqual({ running: false, status: 'paused' });
    await second.execute('cont');
    expect(await kept.state()).toBe('open');
    await pair.untilCompleted();
    await expectOwner(pair, second);
  });
});

test('what its user says when a process begins is heard by the next one', async () => {
  await withJournal({ workload: 'random' }, async (pair) => {
    await pair.untilPostcopyActive();
    await pauseBoth(pair);
    await pair.kill(pair.destination);
    const second = await pair.startDestination('second', undefined, async (guest) => {
      await guest.execute('stop');
    });
    await second.waitForStatus('postcopy-paused');
    const third = await killAndTakeUp(pair, 'third');
    await expectStaysStopped(pair, third);
  });
});

test('a link that is lost again while a vCPU waits for its page: the guest stands still at once', async () => {
  await withJournal({ workload: 'random', vcpus: 2 }, async (pair, kept) => {
    await pair.untilPostcopyActive();
    await untilFaulted(pair.destination, 50);
    await pauseBoth(pair);
    const link = await pair.openLink();
    const held = link.hold({ frame: 'PAGES' });
    await pair.resume(link.uri);
    await held.reached;
    await pair.waitForBoth('postcopy-active');
    link.cut();
    await pair.waitForBoth('postcopy-paused', 3_000);
    expect(await kept.state()).toBe('paused');
    expect(await pair.destination.errorDescription()).not.toMatch(/journal/);
    await killAndTakeUp(pair, 'second');
    await expectWholeGuest(pair);
  });
});
