import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { connectOptions, transports } from '../support/addresses.ts';
import { answerBytes, greetingBytes, helloBytes } from '../support/bad-listeners.ts';
import { within } from '../support/wait.ts';
import { PAGES, Peer, PROOF, ProxiedSockets, RUN, RUNNING } from '../support/proxied-sockets.ts';

describe.each(transports)('the link proxy on %s', (transport) => {
  test('names what passes, in order, and changes no byte of it', async () => {
    await using link = await ProxiedSockets.opened(transport);
    for (const byte of Buffer.concat([PAGES.subarray(0, 30)])) {
      link.source.socket.write(Buffer.of(byte)); // a header in pieces is still one header
    }
    link.source.socket.write(Buffer.concat([PAGES.subarray(30), RUN]));
    expect(await link.destination.has(PAGES.byteLength + RUN.byteLength)).toEqual(
      Buffer.concat([PAGES, RUN]),
    );
    link.destination.socket.write(RUNNING);
    expect(await link.source.has(RUNNING.byteLength)).toEqual(RUNNING);
    const names = link.proxy.frames.entries.map((frame) => `${frame.direction} ${frame.name}`);
    expect(names).toEqual([
      'to-source greeting',
      'to-destination hello',
      'to-source answer',
      'to-destination PAGES',
      'to-destination run',
      'to-source running',
    ]);
    expect(link.proxy.frames.entries[3]).toMatchObject({
      connection: { role: 'main', epoch: 3 },
      byteLength: 24 + 8192,
      firstPage: 5,
      pageCount: 2,
    });
  });

  test('a cut before a message lets everything through that came earlier', async () => {
    await using link = await ProxiedSockets.opened(transport);
    const cut = link.proxy.cutWhen({ frame: 'run', at: 'before', kind: 'fin' });
    link.source.socket.write(Buffer.concat([PAGES, RUN]));
    expect((await cut).name).toBe('run');
    expect(await link.destination.hasEnded()).toBe('end');
    expect(await link.source.hasEnded()).toBe('end');
    expect(link.destination.received).toEqual(PAGES);
  });

  test('a cut after a message lets it through and nothing behind it', async () => {
    await using link = await ProxiedSockets.opened(transport);
    const cut = link.proxy.cutWhen({ frame: 'run', at: 'after', kind: 'fin' });
    link.source.socket.write(Buffer.concat([RUN, PAGES]));
    await cut;
    expect(await link.destination.hasEnded()).toBe('end');
    expect(link.destination.received).toEqual(RUN);
  });

  test('a cut in the middle falls into the body, also when it comes in pieces', async () => {
    await using link = await ProxiedSockets.opened(transport);
    const cut = link.proxy.cutWhen({ frame: 'PAGES', nth: 2, at: 'middle', kind: 'fin' });
    link.source.socket.write(Buffer.concat([PAGES, PAGES.subarray(0, 1000)]));
    await link.destination.has(PAGES.byteLength + 1000);
    link.source.socket.write(PAGES.subarray(1000));
    await cut;
    await link.destination.hasEnded();
    expect(link.destination.received.byteLength).toBe(PAGES.byteLength + PAGES.byteLength / 2);
  });

  test('a cut after so many bytes falls anywhere, the opening included', async () => {
    await using link = await ProxiedSockets.open(transport);
    const cut = link.proxy.cutAfterBytes({ direction: 'to-source', bytes: 33, kind: 'fin' });
    link.destination.socket.write(Buffer.concat([greetingBytes(), answerBytes(PROOF)]));
    await cut;
    await link.source.hasEnded();
    expect(link.source.received.byteLength).toBe(33);
  });

  test('what is held waits alone, until it is released', async () => {
    await using link = await ProxiedSockets.opened(transport);
    const hold = link.proxy.hold({ frame: 'run' });
    link.source.socket.write(Buffer.concat([PAGES, RUN]));
    await hold.reached;
    link.destination.socket.write(RUNNING); // the other direction goes on
    await link.source.has(RUNNING.byteLength);
    expect(link.destination.received.byteLength).toBe(PAGES.byteLength);
    hold.release();
    await link.destination.has(PAGES.byteLength + RUN.byteLength);
  });

  test('what is held when the link is cut never arrives', async () => {
    await using link = await ProxiedSockets.opened(transport);
    const hold = link.proxy.hold({ frame: 'run' });
    link.source.socket.write(RUN);
    await hold.reached;
    link.proxy.cut('fin');
    expect(await link.destination.hasEnded()).toBe('end');
    expect(link.destination.received.byteLength).toBe(0);
  });

  test('in a silence nothing passes either way, and nobody is told', async () => {
    await using link = await ProxiedSockets.opened(transport);
    link.proxy.silence();
    link.source.socket.write(RUN);
    link.destination.socket.write(RUNNING);
    await link.proxy.seen({ frame: 'run' });
    await link.proxy.seen({ frame: 'running' });
    link.source.socket.end();
    expect([link.source.received.byteLength, link.destination.received.byteLength]).toEqual([0, 0]);
    link.proxy.releaseAll();
    await link.destination.has(RUN.byteLength);
    await link.source.has(RUNNING.byteLength);
    expect(await link.destination.hasEnded()).toBe('end');
  });

  test('a half-open link is silent one way and open the other', async () => {
    await using link = await ProxiedSockets.opened(transport);
    link.proxy.silence('to-destination');
    link.source.socket.write(RUN);
    await link.proxy.seen({ frame: 'run' });
    link.destination.socket.write(RUNNING);
    await link.source.has(RUNNING.byteLength);
    expect(link.destination.received.byteLength).toBe(0);
    link.proxy.releaseAll();
    expect(await link.destination.has(RUN.byteLength)).toEqual(RUN);
  });

  test('bytes that are written one at a time arrive whole and one by one', async () => {
    await using link = await ProxiedSockets.opened(transport);
    const chunks: number[] = [];
    link.destination.socket.on('data', (chunk: Buffer) => chunks.push(chunk.byteLength));
    link.proxy.writeSingly(200);
    link.source.socket.write(Buffer.concat([RUN, PAGES]));
    const received = await link.destination.has(RUN.byteLength + PAGES.byteLength);
    expect(received).toEqual(Buffer.concat([RUN, PAGES]));
    expect(chunks.length).toBeGreaterThan(20); // the system may join some
    expect(chunks[0]).toBeLessThan(20);
  });

  test('a corrupted byte arrives as another, and no other byte does', async () => {
    await using link = await ProxiedSockets.opened(transport);
    const offset = 24 + 5000;
    const corrupted = link.proxy.corruptWhen({ frame: 'PAGES', nth: 2, offset, mask: 0xff });
    link.source.socket.write(Buffer.concat([PAGES, PAGES.subarray(0, 100)]));
    await link.destination.has(PAGES.byteLength + 100);
    link.source.socket.write(Buffer.concat([PAGES.subarray(100), RUN]));
    const received = await link.destination.has(2 * PAGES.byteLength + RUN.byteLength);
    expect((await corrupted).name).toBe('PAGES');
    const damaged = Buffer.concat([PAGES, PAGES, RUN]);
    damaged.writeUInt8(0xab ^ 0xff, PAGES.byteLength + offset);
    expect(received.equals(damaged)).toBe(true);
  });

  test('a connection that is overtaken arrives after the one that came later', async () => {
    await using link = await ProxiedSockets.open(transport);
    const arrived: string[] = [];
    link.onAccepted((peer) => {
      peer.socket.once('data', (name: Buffer) => arrived.push(name.toString('latin1').slice(0, 1)));
    });
    const overtaken = link.proxy.overtakeNext(5000);
    const first = new Peer(connect(connectOptions(link.proxy.uri)));
    await once(first.socket, 'connect');
    first.socket.write(helloBytes(1, 1).fill('1', 0, 1));
    const second = new Peer(connect(connectOptions(link.proxy.uri)));
    second.socket.write(helloBytes(1, 1).fill('2', 0, 1));
    expect(await overtaken).toBe('overtaken');
    await within(link.accepted(3), 'both connections', 5000);
    await within(
      link.until(() => arrived.length === 2),
      'both hellos',
      5000,
    );
    expect(arrived).toEqual(['2', '1']);
    first.socket.destroy();
    second.socket.destroy();
  });

  test('a connection that nobody overtakes arrives all the same', async () => {
    await using link = await ProxiedSockets.open(transport);
    const overtaken = link.proxy.overtakeNext(20);
    const alone = new Peer(connect(connectOptions(link.proxy.uri)));
    expect(await overtaken).toBe('alone');
    await within(link.accepted(2), 'the connection', 5000);
    alone.socket.destroy();
  });

  test.each([
    ['delayed', { delayMillis: 60 }],
    ['throttled', { bytesPerSecond: 8000 / 0.06 }],
  ])('what is %s arrives whole, and no sooner', async (_name, rule) => {
    await using link = await ProxiedSockets.opened(transport);
    Object.assign(link.proxy, rule);
    const started = performance.now();
    link.source.socket.write(PAGES);
    expect((await link.destination.has(PAGES.byteLength)).equals(PAGES)).toBe(true);
    expect(performance.now() - started).toBeGreaterThan(50);
  });

  test('the end of one side reaches the other, and the other may still answer', async () => {
    await using link = await ProxiedSockets.opened(transport);
    link.destination.socket.allowHalfOpen = true;
    link.source.socket.end(RUN);
    expect(await link.destination.hasEnded()).toBe('end');
    expect(link.destination.received).toEqual(RUN);
  });

  test('whoever dials is refused until the proxy listens again', async () => {
    await using link = await ProxiedSockets.opened(transport);
    link.proxy.refuseNew();
    const refused = new Peer(connect(connectOptions(link.proxy.uri)));
    expect(await refused.hasEnded()).toBe('reset');
    link.source.socket.write(RUN); // what stands goes on
    await link.destination.has(RUN.byteLength);
    await link.proxy.listenAgain();
    const again = connect(connectOptions(link.proxy.uri));
    await within(once(again, 'connect'), 'the connection', 5000);
    again.destroy();
  });

  test('what is not the protocol is noted and ends the connection', async () => {
    await using link = await ProxiedSockets.opened(transport);
    link.source.socket.write(Buffer.alloc(24, 0xee));
    await link.destination.hasEnded();
    expect(link.proxy.violations).toHaveLength(1);
  });
});

test('a reset tells a tcp peer that it was no orderly end', async () => {
  await using link = await ProxiedSockets.opened('tcp');
  link.proxy.cut('rst');
  expect(await link.destination.hasEnded()).toBe('reset');
});
