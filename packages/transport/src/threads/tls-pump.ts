import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { parentPort, workerData } from 'node:worker_threads';
import { explainCode } from '../tls/explain-tls.ts';
import { shakeHands } from '../tls/handshake.ts';
import type { PumpData, PumpMessage } from '../tls/pump-api.ts';

/*
 * A thread between a socket pair and a TLS connection: what is written in the clear at one end leaves
 * encrypted, and the other way round. It loads nothing native, so that it starts within milliseconds
 * and can be ended at any moment. It ends by itself once both sides are closed.
 */

/**
 * What may wait here in each direction, beside one read of as much: it is in front of the next
 * requested page.
 */
const WAITING_BYTES = 64 * 1024;
/** What was written before the end still leaves; a peer that does not take it is not waited for longer. */
const LINGER_MILLIS = 1000;

const data = workerData as PumpData;
const options = { highWaterMark: WAITING_BYTES };
tell({ type: 'begun' });
const carrier = new Socket({ fd: data.wire, ...options });
carrier.on('error', () => undefined); // the TLS socket over it tells
const inner = new Socket({ fd: data.inner, ...options });
if (data.early !== undefined) carrier.unshift(data.early);
try {
  const { socket, identity } = await shakeHands(carrier, data);
  join(socket);
  tell({ type: 'secured', ...(identity === undefined ? {} : { identity }) });
} catch (error) {
  tell({ type: 'broken', reason: (error as Error).message });
  carrier.destroy();
  inner.destroy();
}

function join(secured: TLSSocket): void {
  secured.on('error', (error: NodeJS.ErrnoException) => {
    tell({ type: 'broken', reason: explainCode(error.code, error.message) });
  });
  inner.on('error', () => undefined); // the engine has shut it down; 'close' follows
  inner.pipe(secured);
  secured.pipe(inner);
  // Neither side ever closes one direction alone: the end of one is the end of both.
  secured.once('end', () => inner.destroySoon());
  secured.once('close', () => {
    inner.destroySoon();
    carrier.destroy();
  });
  inner.once('end', () => endSecured(secured));
  inner.once('close', () => endSecured(secured));
  parentPort?.once('message', () => expectProgress(secured)); // whoever used the inside has closed it
  parentPort?.unref();
}

/**
 * While the other side takes nothing, nothing is read from the inside either, and its end would never be
 * seen: who has stopped to read must not keep this thread.
 */
function expectProgress(secured: TLSSocket): void {
  let before = secured.bytesWritten;
  setInterval(() => {
    if (secured.bytesWritten === before) secured.destroy();
    before = secured.bytesWritten;
  }, LINGER_MILLIS).unref(); // the connection may be closed already
}

/** The rest of what was written leaves, and what still comes is let go of, until the other side ends too. */
function endSecured(secured: TLSSocket): void {
  secured.unpipe(inner);
  secured.resume();
  secured.end();
  setTimeout(() => secured.destroy(), LINGER_MILLIS).unref();
}

function tell(message: PumpMessage): void {
  parentPort?.postMessage(message);
}
