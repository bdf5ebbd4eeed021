import {
  closeDescriptor,
  openUserfaultfd,
  registerRange,
  RegisterMode,
  tryZeroPages,
} from '@godwit/posix';
import { expect, onTestFinished, test } from 'vitest';
import type { GuestError } from '../src/errors.ts';
import { PAGE_BYTES } from '../src/pages/memory-pages.ts';
import { rehearseVcpu } from '../src/vcpu/rehearse-vcpu.ts';
import { VcpuThread } from '../src/vcpu/vcpu-thread.ts';
import { realGuest, realRam, reachSteps, runSteps } from './real-ram.ts';

test('a pause of a vCPU that hangs in a page fault can be given up, and still holds', async () => {
  const { guest, supplyPage } = await guestWithMissingPage();
  await guest.resume();
  await reachSteps(guest, 3);
  const reason = new Error('enough');
  const pause = guest.pause({ signal: abortSoon(reason) });
  await expect(pause).rejects.toBe(reason);
  expect(guest.running).toBe(true);

  supplyPage();
  await guest.pause();
  expect(guest.running).toBe(false);
  expect(guest.steps()).toEqual([4]); // the step it hung in, and none after it
  expect(await guest.verify()).toMatchObject({ ok: true });
});

test('a pause given up in the queue behind another rejects at once', async () => {
  const { guest, supplyPage } = await guestWithMissingPage();
  await guest.resume();
  await reachSteps(guest, 3);
  const first = guest.pause();
  await expect(guest.pause({ signal: AbortSignal.abort() })).rejects.toThrow('aborted');
  await expect(guest.pause({ signal: abortSoon(new Error('enough')) })).rejects.toThrow('enough');
  supplyPage();
  await first;
  expect(guest.running).toBe(false);
});

test('a guest whose pause was given up can run on', async () => {
  const { guest, supplyPage } = await guestWithMissingPage();
  await guest.resume();
  await reachSteps(guest, 3);
  await expect(guest.pause({ signal: AbortSignal.abort() })).rejects.toThrow('aborted');
  const resumed = guest.resume();
  supplyPage();
  await resumed;
  await runSteps(guest, 1000);
  await guest.pause();
  expect(await guest.verify()).toMatchObject({ ok: true });
});

test('closing a guest with a stuck vCPU names it, and works once the page has come', async () => {
  const { guest, supplyPage } = await guestWithMissingPage();
  await guest.resume();
  await reachSteps(guest, 3);
  const error = await guest.close({ limitMillis: 20 }).catch((e: unknown) => e as GuestError);
  expect(error).toMatchObject({ code: 'ERR_VCPU_STUCK' });
  expect(String(error)).toContain('vCPU 0');
  supplyPage();
  await guest.close();
});

test('a vCPU thread that fails is reported once, and whoever waits for it hears of it', async () => {
  const crashes: GuestError[] = [];
  const thread = new VcpuThread(5, realRam([1]), (error) => crashes.push(error));
  await thread.started();
  // vCPU 5 of 6 owns none of the one page.
  thread.setProgram({ workload: 'sweep', seed: 1, fill: 1, vcpu: 5, vcpuCount: 6, rate: 0 }, 0);
  await expect(thread.obey('run')).rejects.toMatchObject({ code: 'ERR_VCPU_CRASHED' });
  await expect(thread.obey('pause')).rejects.toMatchObject({ code: 'ERR_VCPU_CRASHED' });
  expect(crashes).toEqual([thread.crash]);
  expect(thread.crash?.message).toContain('vCPU 5');
  expect(thread.crash?.cause).toBeInstanceOf(Error);
  await thread.exit();
});

test('a thread that cannot start is a crash, and the guest is not created', async () => {
  const crashes: GuestError[] = [];
  const ram = [
    { id: 'lost', byteLength: 4096, pageBytes: 4096, address: NaN, backing: 'anon' as const },
  ];
  const created = realGuest({ ram, fillMemory: false, onCrash: (error) => crashes.push(error) });
  await expect(created).rejects.toMatchObject({ code: 'ERR_VCPU_CRASHED' });
  expect(crashes).toHaveLength(1);
});

/** A sweeping vCPU over 8 empty pages, of which the fourth is missing until it is supplied. */
async function guestWithMissingPage() {
  const ram = realRam([8]);
  const address = (ram[0]?.address ?? 0) + 3 * PAGE_BYTES;
  const guest = await realGuest({ ram, fill: 0 });
  const uffd = openUserfaultfd({ features: 0 });
  registerRange(uffd, address, PAGE_BYTES, RegisterMode.MISSING);
  onTestFinished(() => closeDescriptor(uffd)); // also lets a vCPU go on that still hangs
  const supplyPage = () => expect(tryZeroPages(uffd, address, PAGE_BYTES, 0)).toBe(PAGE_BYTES);
  return { guest, supplyPage };
}

/** Aborts after the vCPU has had time for many thousand steps, had it not been hanging. */
function abortSoon(reason: Error): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 20);
  return controller.signal;
}

test('a rehearsal takes every workload through its paces and ends', () => {
  expect(() => rehearseVcpu()).not.toThrow();
});
