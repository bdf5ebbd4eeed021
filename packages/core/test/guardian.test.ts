import { constants, openSync } from 'node:fs';
import { closeDescriptor, probeHost } from '@godwit/posix';
import { expect, onTestFinished, test } from 'vitest';
import { closeFaultSource, openFaultSource } from '../src/memory/fault-source.ts';
import { Guardian } from '../src/migration/guardian.ts';
import { realRam } from './real-ram.ts';

test.skipIf(!probeHost().userfaultfd.available)(
  'a guardian that is released while it starts does not take the end of the thread for a death',
  async () => {
    const blocks = realRam([1]);
    const userfaultfd = openFaultSource(blocks);
    onTestFinished(() => closeFaultSource(userfaultfd, blocks));
    const guardian = new Guardian();
    let adopted = -1;
    await guardian.start(userfaultfd, async (writer) => {
      adopted = openSync(`/proc/self/fd/${writer}`, constants.O_WRONLY);
      guardian.release(); // the last page has come, and threads end
      return await Promise.resolve(adopted);
    });
    expect(guardian.status).toBe('released');
    closeDescriptor(adopted); // it would kill this process now
    await expect.poll(() => guardian.pid).toBeUndefined();
    expect(guardian.error).toBeUndefined();
  },
);

test.skipIf(!probeHost().userfaultfd.available)(
  'a guardian that dies while it starts is lost like any other',
  async () => {
    const blocks = realRam([1]);
    const userfaultfd = openFaultSource(blocks);
    onTestFinished(() => closeFaultSource(userfaultfd, blocks));
    const guardian = new Guardian();
    let lost = 0;
    guardian.onLost = () => (lost += 1);
    let adopted = -1;
    await guardian.start(userfaultfd, async (writer) => {
      adopted = openSync(`/proc/self/fd/${writer}`, constants.O_WRONLY);
      process.kill(guardian.pid as number, 'SIGKILL');
      await expect.poll(() => guardian.pid).toBeUndefined();
      return adopted;
    });
    closeDescriptor(adopted);
    expect(guardian.status).toBe('absent');
    expect(lost).toBe(1);
  },
);
