import {
  type ControlMessage,
  decodeControl,
  decodeFrameHeader,
  encodeControl,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameBatch,
  FrameType,
  newFrameHeader,
} from '@godwit/transport';

import { group, type MicroGroup, type MicroTask } from './micro-task.ts';

const FRAMES = 1000;
const MESSAGES = 100;
const RUN_PAGES = 256;
const RUN_BYTES = RUN_PAGES * 4096;

/** What is on the wire around the pages. */
export function frameTasks(): MicroGroup {
  return group('frames', [...headerTasks(), batchTask(), ...controlTasks()]);
}

function headerTasks(): MicroTask[] {
  const bytes = new DataView(new ArrayBuffer(FRAME_HEADER_BYTES));
  const header = newFrameHeader();
  const limits = { pageBytes: 4096, blockPages: [2 ** 20] };
  encodeFrameHeader(bytes, 0, FrameType.PAGES, 0, 0, RUN_PAGES, RUN_BYTES);
  const encode = (): void => {
    for (let i = 0; i < FRAMES; i++) {
      encodeFrameHeader(bytes, 0, FrameType.PAGES, 0, i, RUN_PAGES, RUN_BYTES);
    }
  };
  const decode = (): void => {
    for (let i = 0; i < FRAMES; i++) decodeFrameHeader(bytes, 0, header, limits);
  };
  return [
    { name: 'frame header, encode', run: encode, count: FRAMES, unit: 'frame' },
    { name: 'frame header, decode and check', run: decode, count: FRAMES, unit: 'frame' },
  ];
}

function batchTask(): MicroTask {
  const batch = new FrameBatch();
  const run = (): void => {
    for (let i = 0; i < FRAMES; i++) {
      if (batch.isFull) batch.clear();
      batch.add(FrameType.PAGES, 0, i, RUN_PAGES, 2 ** 40, RUN_BYTES);
    }
  };
  return { name: 'page frame, added to a writev', run, count: FRAMES, unit: 'frame' };
}

function controlTasks(): MicroTask[] {
  const messages: ControlMessage[] = [
    { t: 'pass', n: 3 },
    { t: 'complete', pages: 66_560, digest: new Uint8Array(32) },
    {
      t: 'start',
      page: 4096,
      blocks: [
        ['pc.ram', 2 ** 34],
        ['pc.bios', 2 ** 18],
        ['vga.vram', 2 ** 24],
      ],
      caps: ['postcopy-ram', 'postcopy-preempt'],
      uuid: '3b9f6f9e-58f1-4b0a-9f0e-0a8a2f6c6c11',
    },
  ];
  return messages.flatMap((message) => {
    const body = encodeControl(message).subarray(FRAME_HEADER_BYTES);
    const encode = (): void => {
      for (let i = 0; i < MESSAGES; i++) encodeControl(message);
    };
    const decode = (): void => {
      for (let i = 0; i < MESSAGES; i++) decodeControl(body);
    };
    const name = `control message '${message.t}'`;
    const counted = { count: MESSAGES, unit: 'message' };
    return [
      { name: `${name}, encode`, run: encode, ...counted },
      { name: `${name}, decode and check`, run: decode, ...counted },
    ];
  });
}
