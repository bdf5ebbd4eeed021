import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Relay } from '@godwit/chaos';
import type { ExecuteOptions, JsonObject } from '@godwit/qmp';

import { formatMillis } from '../figures.ts';
import { queryMigrate, queryStatus, uriOf } from '../migrate-info.ts';
import type { DemoResult, VerifyReply } from './demo-report.ts';
import type { Monitor } from './monitor.ts';
import { type DemoOptions, planDemo, postcopyBandwidth, remainingAtCut } from './plan.ts';

/** For a step that takes milliseconds. */
const STEP_LIMIT_MILLIS = 10_000;
/** For moving memory, from one point to the next. */
const TRANSFER_LIMIT_MILLIS = 120_000;
/** How long the link stays cut, for people to see it. */
const CUT_MILLIS = 300;

export interface Stage {
  readonly options: DemoOptions;
  /** For sockets. */
  readonly directory: string;
  readonly monitor: Monitor;
  /** Ends whatever waits. */
  readonly signal: AbortSignal;
}

/** Sets both sides up. @returns where the destination listens. */
export async function prepare(stage: Stage): Promise<string> {
  const { monitor, options } = stage;
  const { maxBandwidth, downtimeLimitMillis } = planDemo(options);
  await monitor.until({
    what: 'the guest to run at the source',
    limitMillis: STEP_LIMIT_MILLIS,
    holds: () => monitor.source.runState === 'running',
  });
  const names = ['events', ...(options.precopy ? [] : ['postcopy-ram'])];
  const capabilities = names.map((capability) => ({ capability, state: true }));
  await onSource(stage, 'migrate-set-capabilities', { capabilities });
  await onDestination(stage, 'migrate-set-capabilities', { capabilities });
  await onSource(stage, 'migrate-set-parameters', {
    'max-bandwidth': maxBandwidth,
    'downtime-limit': downtimeLimitMillis,
  });
  await onDestination(stage, 'migrate-incoming', { uri: listenUri(stage, 'incoming') });
  const { 'socket-address': addresses = [] } = await queryMigrate(
    monitor.destination.process.client,
    { signal: stage.signal },
  );
  const [address] = addresses;
  if (address === undefined) throw new Error('the destination does not say where it listens');
  return uriOf(address);
}

/**
 * The migration, to `completed` on both sides.
 *
 * @returns for each cut, the time from the resume command to postcopy-active on both sides.
 */
export async function migrate(stage: Stage, target: string): Promise<number[]> {
  const { monitor, options } = stage;
  const recoveryMillis: number[] = [];
  let relay = await openRelay(stage, target, 0);
  try {
    await onSource(stage, 'migrate', { uri: relay.uri });
    if (!options.precopy) {
      const remaining = await enterPostcopy(stage);
      for (let cut = 1; cut <= options.cuts; cut += 1) {
        await cutLink(stage, relay, remainingAtCut(remaining, cut, options.cuts));
        await relay[Symbol.asyncDispose]();
        relay = await openRelay(stage, target, cut);
        recoveryMillis.push(await recover(stage, relay));
      }
    }
    await monitor.until({
      what: 'completed on both sides',
      limitMillis: TRANSFER_LIMIT_MILLIS,
      notPausedSince: monitor.source.enteredMillis('postcopy-active'),
      holds: () => bothIn(monitor, 'completed'),
    });
  } finally {
    await relay[Symbol.asyncDispose]();
  }
  return recoveryMillis;
}

/** Stops the guest where it has arrived and has every page checked. */
export async function prove(stage: Stage, recoveryMillis: readonly number[]): Promise<DemoResult> {
  const { monitor, options, signal } = stage;
  const { source, destination } = monitor;
  const sourceRun = await queryStatus(source.process.client, { signal });
  const destinationRun = await queryStatus(destination.process.client, { signal });
  await onDestination(stage, 'stop');
  const info = await queryMigrate(source.process.client, { signal });
  destination.info = await queryMigrate(destination.process.client, { signal });
  monitor.log('verifying every page');
  const verified = await onDestination<VerifyReply>(stage, 'x-guest-verify', undefined, {
    timeoutMillis: TRANSFER_LIMIT_MILLIS,
  });
  return {
    precopy: options.precopy,
    passes: monitor.passes,
    info,
    faults: destination.faults,
    recoveryMillis,
    totalMillis: monitor.elapsedMillis,
    sourceRunState: sourceRun.status,
    destinationRunState: destinationRun.status,
    sourceResumeCount: source.resumeCount,
    verified,
  };
}

/**
 * After one pass: what the guest wrote during it is for postcopy. A guest that writes nothing leaves
 * nothing, so its pass is broken off halfway.
 *
 * @returns how many bytes are left to postcopy.
 */
async function enterPostcopy(stage: Stage): Promise<number> {
  const { monitor, options } = stage;
  const { source } = monitor;
  const ram = () => source.info.ram;
  const isHalfway = (): boolean => (ram()?.remaining ?? Infinity) < (ram()?.total ?? 0) / 2;
  await monitor.until({
    what: 'the end of the first pass',
    limitMillis: TRANSFER_LIMIT_MILLIS,
    holds: () => monitor.passes > 1 || (options.workload === 'idle' && isHalfway()),
  });
  const { client } = source.process;
  const { ram: left } = await queryMigrate(client, { signal: stage.signal });
  const bandwidth = postcopyBandwidth(left?.remaining ?? 0, options.cuts);
  await onSource(stage, 'migrate-set-parameters', { 'max-postcopy-bandwidth': bandwidth });
  await onSource(stage, 'migrate-start-postcopy');
  await monitor.until({
    what: 'postcopy-active on both sides',
    limitMillis: STEP_LIMIT_MILLIS,
    notPausedSince: 0,
    holds: () => bothIn(monitor, 'postcopy-active') && source.info.status === 'postcopy-active',
  });
  return ram()?.remaining ?? 0;
}

/** Cuts the wire when so little remains, and waits until both sides have noticed, and people too. */
async function cutLink(stage: Stage, relay: Relay, remainingBytes: number): Promise<void> {
  const { monitor } = stage;
  await monitor.until({
    what: 'the point of the cut',
    limitMillis: TRANSFER_LIMIT_MILLIS,
    notPausedSince: monitor.source.enteredMillis('postcopy-active'),
    holds: () => (monitor.source.info.ram?.remaining ?? Infinity) <= remainingBytes,
  });
  relay.cut();
  monitor.log('the link is cut');
  await monitor.until({
    what: 'postcopy-paused on both sides after the cut',
    limitMillis: STEP_LIMIT_MILLIS,
    holds: () => bothIn(monitor, 'postcopy-paused'),
  });
  await sleep(CUT_MILLIS, undefined, { signal: stage.signal });
}

/** @returns the time from the resume command to postcopy-active on both sides. */
async function recover(stage: Stage, relay: Relay): Promise<number> {
  const { monitor } = stage;
  const { source, destination } = monitor;
  monitor.log('resume over a new link');
  const resumedMillis = performance.now();
  await onSource(stage, 'migrate', { uri: relay.uri, resume: true });
  await monitor.until({
    what: 'postcopy-active on both sides after the resume command',
    limitMillis: STEP_LIMIT_MILLIS,
    notPausedSince: resumedMillis,
    holds: () =>
      [source, destination].every((side) => side.enteredMillis('postcopy-active') > resumedMillis),
  });
  const active = [source, destination].map((side) => side.enteredMillis('postcopy-active'));
  const millis = Math.max(...active) - resumedMillis;
  monitor.track.note(`up in ${formatMillis(millis)}`);
  return millis;
}

async function openRelay(stage: Stage, target: string, number: number): Promise<Relay> {
  return await Relay.open(target, listenUri(stage, `wire-${number}`));
}

/** Any free port, or a path in the directory of the demo. */
function listenUri({ options, directory }: Stage, name: string): string {
  return options.transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${join(directory, name)}`;
}

function bothIn({ source, destination }: Monitor, status: string): boolean {
  return source.status === status && destination.status === status;
}

async function onSource(stage: Stage, command: string, args?: JsonObject): Promise<void> {
  const { client } = stage.monitor.source.process;
  await client.execute(command, args, { signal: stage.signal });
}

async function onDestination<T>(
  stage: Stage,
  command: string,
  args?: JsonObject,
  options?: ExecuteOptions,
): Promise<T> {
  const { client } = stage.monitor.destination.process;
  return await client.execute<T>(command, args, { signal: stage.signal, ...options });
}
