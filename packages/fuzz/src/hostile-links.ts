import { Socket, connect } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { Random } from '@godwit/chaos';
import { type Channel, dial, newSession, type Session } from '@godwit/transport';
import type { Corpus } from './corpus.ts';
import type { Blast } from './plan.ts';
import { tamper } from './tamper.ts';
import type { Judge } from './wire-judge.ts';

/** For a peer that was sent everything there is to say and the end of it. */
const END_MILLIS = 10_000;

interface BlastTarget {
  readonly path: string;
  readonly corpus: Corpus;
  readonly judge: Judge;
  /** Of a migration that has begun; without one a new session is opened. */
  readonly session: Session | undefined;
  readonly epoch: number;
}

/**
 * A link of somebody who knows the secret, all at once: the opening as it should be, then what the plan
 * says, then the end.
 *
 * @returns whether it was let in.
 * @throws the other side does not end the link.
 */
export async function blast({ frames }: Blast, target: BlastTarget): Promise<boolean> {
  const { corpus, judge, epoch } = target;
  const channel = await opened(target, epoch);
  if (channel === undefined) return false;
  const socket = socketOf(channel);
  const closed = closeOf(socket);
  for (const { pick, kind, ...numbers } of frames) {
    const frame = corpus.frame(pick);
    if (frame === undefined) continue;
    for (const bytes of tamper(kind, frame, numbers, corpus).write) {
      judge.onBlast(bytes);
      if (socket.writable) socket.write(bytes);
    }
  }
  socket.end();
  await withinEnd(closed, 'a link that its peer has ended stays open');
  return true;
}

async function opened({ path, session }: BlastTarget, epoch: number): Promise<Channel | undefined> {
  const options = { role: 'main', epoch, timeoutMillis: END_MILLIS } as const;
  const mine = session ?? newSession();
  try {
    return await dial(
      { type: 'unix', path },
      { ...options, session: mine, newSession: session === undefined },
    );
  } catch {
    return undefined; // busy with somebody else, or past the time in which anybody could come
  }
}

/** Somebody who knows no secret: another session's hello, changed a little, cut or prolonged. */
export async function stranger(path: string, seed: number, corpus: Corpus): Promise<void> {
  const random = new Random('stranger', seed);
  const hello = Buffer.from(corpus.hello(random.between(0, 2 ** 32)) ?? random.bytes(96));
  hello.writeUInt8(0, 11); // it opens no session: whoever does is no stranger
  const at = random.between(0, hello.byteLength);
  if (at !== 11) hello.writeUInt8(hello.readUInt8(at) ^ random.between(0, 256), at);
  const bytes = random.pick([
    hello,
    hello.subarray(0, random.between(0, 96)),
    Buffer.concat([hello, random.bytes(random.between(1, 2000))]),
    Buffer.from(random.bytes(random.between(0, 600))),
  ]);
  const socket = connect(path);
  const closed = closeOf(socket);
  socket.resume();
  socket.end(bytes);
  await withinEnd(closed, 'a stranger who has left stays connected');
}

/** Non-blocking from here on; the socket owns the descriptor. */
export function socketOf(channel: Channel): Socket {
  const socket = new Socket({ fd: channel.descriptor, readable: true, writable: true });
  socket.resume();
  return socket;
}

async function closeOf(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
  });
}

async function withinEnd(closed: Promise<void>, what: string): Promise<void> {
  const limit = new AbortController();
  const late = after(END_MILLIS, 'late', { signal: limit.signal }).catch(() => undefined);
  const outcome = await Promise.race([closed, late]);
  limit.abort();
  if (outcome === 'late') throw new Error(what);
}
