import { afterAll, beforeAll, expect, test } from 'vitest';
import { GuestProcess } from '../support/guest-process.ts';
import { HostileClient, residentBytes } from '../support/hostile-client.ts';
import { resourcesReturnTo } from '../support/process-resources.ts';
import { TestDirectory } from '../support/test-directory.ts';

/*
 * One server for all: what one client does to it, the next finds. After each test it answers as it did
 * before, and its memory has not grown by more than a client may make it hold.
 */

const MIB = 1024 * 1024;
/** Twice what all of it together was measured to take: 128 MiB, most of it not collected yet. */
const GROWTH_MAX = 256 * MIB;
/** An answer within this is an answer, on a machine that does other things as well. */
const ANSWER_LIMIT = { timeoutMillis: 5_000 };

let directory: TestDirectory;
let guest: GuestProcess;
let socketPath: string;
let before: number;

beforeAll(async () => {
  directory = await TestDirectory.make();
  guest = await GuestProcess.start({ name: 'A', directory, workload: 'idle' });
  socketPath = directory.file('A.qmp');
  before = await residentBytes(guest.pid, 'VmRSS');
});

afterAll(async () => {
  await guest.quit();
  await directory[Symbol.asyncDispose]();
});

/** The server answers as before, and what the attack has made it hold is given back. */
async function expectUnharmed(attack: () => Promise<void>): Promise<void> {
  const resources = await guest.resources();
  await attack();
  const status = await guest.qmp.execute('query-status', undefined, ANSWER_LIMIT);
  expect(status).toEqual({ running: true, status: 'running' });
  expect(await residentBytes(guest.pid, 'VmHWM')).toBeLessThan(before + GROWTH_MAX);
  // Mappings are V8's heaps, which memory is the measure of.
  await resourcesReturnTo(guest.pid, { ...resources, mappings: Infinity });
}

async function open(): Promise<HostileClient> {
  const client = await HostileClient.connect(socketPath);
  await client.negotiate();
  return client;
}

test.each(['{"execute":"query-qmp-schema"}\n', '{"exec-oob":"query-yank"}\n', 'rubbish\n'])(
  'a client that sends %j for ever and never reads is let go',
  async (command) => {
    await expectUnharmed(async () => {
      await using client = await open();
      client.socket.pause();
      const many = command.repeat(1000);
      let sent = 0;
      for (; sent < 4_000 && !client.socket.closed; sent += 1) await client.write(many);
      await client.disconnected();
      expect(sent).toBeLessThan(4_000);
    });
  },
);

test('events alone are too much for a client that never reads', async () => {
  await expectUnharmed(async () => {
    await using client = await open();
    client.socket.pause();
    // A pair of events each, some 100 bytes: the limit is 4 MiB, and the kernel holds some.
    for (let round = 0; round < 30_000 && !client.socket.closed; round += 1) {
      await Promise.all([guest.execute('stop'), guest.execute('cont')]);
    }
    await client.disconnected();
  });
});

test('thousands of commands at once are answered, each, in order', async () => {
  await expectUnharmed(async () => {
    const count = 20_000;
    await using client = await open();
    const ids = Array.from({ length: count }, (_, id) => id);
    const sent = client.write(
      ids.map((id) => `{"execute":"query-status","id":${id}}`).join(''), // nothing in between
    );
    const replies = await client.lines(count);
    await sent;
    expect(replies.map((line) => (JSON.parse(line) as { id: number }).id)).toEqual(ids);
  });
});

test('a line without end is refused, and the client is let go', async () => {
  await expectUnharmed(async () => {
    await using client = await open();
    const piece = 'x'.repeat(MIB);
    await client.write('{"execute":"');
    for (let sent = 0; sent < 64 && !client.socket.closed; sent += 1) await client.write(piece);
    const [line] = await client.lines(1);
    expect(line).toContain('JSON value is longer than 1048576 bytes');
    await client.disconnected();
  });
});

test('rubbish without a newline is read and forgotten', async () => {
  await expectUnharmed(async () => {
    await using client = await open();
    const piece = '*'.repeat(MIB);
    for (let sent = 0; sent < 64; sent += 1) await client.write(piece);
    await client.write('\n{"execute":"query-name"}');
    const [refusal, answer] = await client.lines(2);
    expect(JSON.parse(refusal ?? '')).toMatchObject({ error: { class: 'GenericError' } });
    expect(JSON.parse(answer ?? '')).toEqual({ return: { name: 'A' } });
  });
});

test('brackets without end are refused at QEMU’s depth, and the next line is read', async () => {
  await expectUnharmed(async () => {
    await using client = await open();
    await client.write(`${'['.repeat(500_000)}\n{"execute":"query-name"}`);
    const [refusal, answer] = await client.lines(2);
    expect(refusal).toContain('JSON nesting depth limit exceeded');
    expect(JSON.parse(answer ?? '')).toEqual({ return: { name: 'A' } });
  });
});

test('values that are small on the wire and large in memory do not pile up', async () => {
  await expectUnharmed(async () => {
    const count = 60;
    await using client = await open();
    const hollow = '[],'.repeat(300_000);
    const sent = client.write(
      `{"execute":"query-name","arguments":{"a":[${hollow}0]}}`.repeat(count),
    );
    const replies = await client.lines(count);
    await sent;
    for (const reply of replies) expect(reply).toContain("Parameter 'a' is unexpected");
  });
});

test('clients that leave in the middle of a command leave nothing behind', async () => {
  await expectUnharmed(async () => {
    const commands = ['{"execute":"query-mig', '{"execute":"query-migrate"}', '{"execute":"stop"}'];
    for (let round = 0; round < 60; round += 1) {
      await using client = await HostileClient.connect(socketPath);
      await client.write('{"execute":"qmp_capabilities"}');
      await client.write(commands[round % commands.length] ?? '');
      client.socket.destroy();
    }
    await guest.execute('cont');
  });
});

test('characters that arrive byte by byte are whole', async () => {
  await expectUnharmed(async () => {
    await using client = await open();
    const id = 'naïve €uro 🐢 \u{10FFFF}';
    for (const byte of Buffer.from(`{"execute":"query-name","id":"${id}"}`)) {
      client.socket.write(Uint8Array.of(byte));
    }
    const [line] = await client.lines(1);
    expect(JSON.parse(line ?? '')).toEqual({ return: { name: 'A' }, id });
  });
});

test('half a character is refused', async () => {
  await expectUnharmed(async () => {
    await using client = await open();
    await client.write(Buffer.concat([Buffer.from('{"id":"'), Uint8Array.of(0xf0, 0x9f)]));
    await client.write('"}\n');
    const [line] = await client.lines(1);
    expect(JSON.parse(line ?? '')).toMatchObject({ error: { class: 'GenericError' } });
  });
});

test('as many clients as are let in get what they ask for; one more is turned away', async () => {
  await expectUnharmed(async () => {
    const opened: HostileClient[] = [];
    try {
      // The test's own client is one of the 64.
      while (opened.length < 63) opened.push(await open());
      await using late = await HostileClient.connect(socketPath);
      await late.disconnected();
      await Promise.all(
        opened.map(async (client) => await client.write('{"execute":"query-name"}')),
      );
      const names = await Promise.all(opened.map(async (client) => await client.lines(1)));
      for (const [line] of names) expect(JSON.parse(line ?? '')).toEqual({ return: { name: 'A' } });
    } finally {
      for (const client of opened) await client[Symbol.asyncDispose]();
    }
  });
});
