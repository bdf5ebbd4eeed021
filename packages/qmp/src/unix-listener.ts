import { once } from 'node:events';
import type { Stats } from 'node:fs';
import { chmod, lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname, join, resolve } from 'node:path';

import { bind, cannotListen } from './bind.ts';
import { messageOf, QmpSocketError } from './errors.ts';

/**
 * Listens on a socket file of mode 0600. The socket is made in a private directory beside `path`
 * and renamed into place: nobody can connect before the mode is set, a file left behind by a dead
 * server is replaced in one step, and what Node unlinks by name when it closes a server is not
 * `path`, which may be somebody else's by then.
 *
 * @returns removes the file, if it is still ours.
 * @throws {QmpSocketError} `ERR_ADDRESS_IN_USE`: a server answers there, or the file is no socket;
 *   `ERR_LISTEN`.
 */
export async function listenOnPath(server: Server, path: string): Promise<() => Promise<void>> {
  const address = `unix:${path}`;
  await refuseTaken(path);
  let directory: string | undefined;
  try {
    directory = await mkdtemp(join(dirname(path), '.q'));
    const socketPath = join(directory, 's');
    await bind(server, { path: socketPath }, address);
    await chmod(socketPath, 0o600);
    const ours = await lstat(socketPath);
    await rename(socketPath, path);
    // Absolute: the process may change its directory before it closes.
    const file = resolve(path);
    return () => removeIfOurs(file, ours);
  } catch (error) {
    server.close();
    throw error instanceof QmpSocketError ? error : cannotListen(address, error);
  } finally {
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

async function refuseTaken(path: string): Promise<void> {
  const stats = await lstatIfThere(path);
  if (stats === undefined) return;
  if (!stats.isSocket()) throw taken(path, 'the file exists and is not a socket; remove it first');
  const probe = connect({ path });
  try {
    await once(probe, 'connect');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // Refused: a file without a listener, left by a server that was killed.
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return;
    throw taken(path, `a socket is there and cannot be tried: ${messageOf(error)}`);
  } finally {
    probe.destroy();
  }
  throw taken(path, 'another server is listening there');
}

function taken(path: string, why: string): QmpSocketError {
  return new QmpSocketError('ERR_ADDRESS_IN_USE', `cannot listen on unix:${path}: ${why}`);
}

async function removeIfOurs(path: string, ours: Stats): Promise<void> {
  const stats = await lstatIfThere(path);
  if (stats?.ino === ours.ino && stats.dev === ours.dev) await rm(path, { force: true });
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw cannotListen(`unix:${path}`, error);
  }
}
