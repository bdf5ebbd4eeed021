import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { Address } from '@godwit/transport';

import { checkPeerOptions } from '../peer/check-peer-options.ts';
import { openPeer, type Peer } from '../peer/open-peer.ts';
import { summarizePeers } from '../peer/peer-figures.ts';
import type { PeerDescription } from '../peer/peer-runs.ts';
import type { DestinationCommands, SourceCommands } from '../side/side-api.ts';
import { SideProcess } from '../side/side-process.ts';
import { describeMachine } from './machine.ts';
import { measureMigration } from './measure-migration.ts';
import { measurePump } from './measure-pump.ts';
import { checkOptions, guestMemory, type MigrateBenchOptions } from './options.ts';
import type { Run } from './runs.ts';
import type { Stage } from './stage.ts';
import { type Figure, summarize } from './summary.ts';

/** For one step of one run; a guest that writes faster than it can be sent never ends. */
const STEP_LIMIT_MILLIS = 120_000;

export interface MigrateBenchResult {
  /** Processors, kernel and Node: without them no number means anything. */
  readonly machine: string;
  readonly options: MigrateBenchOptions;
  /** When there should be one to compare with. */
  readonly peer?: PeerDescription;
  readonly runs: readonly Run[];
  readonly figures: readonly Figure[];
}

export interface MigrateBenchHooks {
  /** Ends everything with its reason. */
  readonly signal: AbortSignal;
  /** After each run. */
  readonly onRun?: (run: Run, index: number) => void;
}

/**
 * Migrates a guest between two processes, as often as asked for, and in turn with that pumps the same
 * bytes raw between them, and measures another engine if one was asked for. Every guest of ours is
 * proved to have arrived whole.
 *
 * @throws {RangeError} the options ask for what is not possible.
 * @throws {Error} a side failed, died or took too long; or the signal's reason. Processes and files
 *   are gone, whatever happens.
 */
export async function benchMigrate(
  options: MigrateBenchOptions,
  { signal, onRun }: MigrateBenchHooks,
): Promise<MigrateBenchResult> {
  checkOptions(options);
  checkPeerOptions(options);
  await using directory = await temporaryDirectory();
  const limits = { limitMillis: STEP_LIMIT_MILLIS, signal };
  await using peer = await openPeer({ options, directory: directory.path, ...limits });
  await using source = new SideProcess<SourceCommands>('source', limits);
  await using destination = new SideProcess<DestinationCommands>('destination', limits);
  const address = addresses(options.transport, directory.path);
  const stage: Stage = { options, source, destination, address };
  const { workload, rate } = options;
  await source.call('create', { ...guestMemory(options), workload, rate });
  const runs: Run[] = [];
  for (let index = 0; index < options.runs; index++) {
    const run = await measureAll(stage, peer, index % 2 === 0);
    runs.push(run);
    onRun?.(run, index);
  }
  return {
    machine: describeMachine(),
    options,
    ...(peer === undefined ? {} : { peer: peer.description }),
    runs,
    figures: [...summarize(runs), ...summarizePeers(runs)],
  };
}

/** @param forwards ours first: in turn, like the pump. */
async function measureAll(stage: Stage, peer: Peer | undefined, forwards: boolean): Promise<Run> {
  if (peer === undefined) return await measure(stage, forwards);
  if (forwards) {
    const run = await measure(stage, forwards);
    return { ...run, peers: await peer.measure(forwards) };
  }
  const peers = await peer.measure(forwards);
  return { ...(await measure(stage, forwards)), peers };
}

/** @param pumpFirst in turn, so that neither has the better half of a machine that drifts. */
async function measure(stage: Stage, pumpFirst: boolean): Promise<Run> {
  if (stage.options.mode === 'recovery') return { migration: await measureMigration(stage) };
  if (pumpFirst) {
    const pump = await measurePump(stage);
    return { pump, migration: await measureMigration(stage) };
  }
  const migration = await measureMigration(stage);
  return { migration, pump: await measurePump(stage) };
}

function addresses(transport: MigrateBenchOptions['transport'], directory: string): () => Address {
  let count = 0;
  return () => {
    if (transport === 'tcp') return { type: 'tcp', host: '127.0.0.1', port: 0 };
    return { type: 'unix', path: join(directory, String(count++)) };
  };
}

/** With sockets only its owner may use; gone in the end, even by process.exit. */
async function temporaryDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'godwit-bench-'));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  process.once('exit', remove);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      process.removeListener('exit', remove);
      await rm(path, { recursive: true, force: true });
    },
  };
}
