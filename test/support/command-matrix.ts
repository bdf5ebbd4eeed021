import { refusedAddress } from './addresses.ts';
import { silentListener } from './bad-listeners.ts';
import type { GuestProcess } from './guest-process.ts';
import { type Pair, type PairOptions, withPair } from './pair.ts';
import { CALM_RATE, crawling, endless, fast } from './parameters.ts';

/** Brings a pair into a state that stays until somebody does something, and undoes its own doing. */
export interface Scene {
  readonly options: PairOptions;
  /** @returns what the scene needs to stay; let go of before the pair ends. */
  enter(pair: Pair): Promise<AsyncDisposable | undefined>;
}

/** No state is left because somebody has waited too long. */
const patient = { postcopy: true, handshakeMillis: 60_000 } as const;
const postcopy = { ...patient, rate: CALM_RATE, memory: '32M', parameters: crawling } as const;

/** The states of a source; a new one comes with its scene, and with a cell in every row of the table. */
export const sourceScenes = {
  none: { options: patient, enter: () => nothing() },
  setup: {
    options: patient,
    async enter(pair) {
      const silent = await silentListener('unix', pair.directory.path);
      await pair.migrate(silent.uri);
      await pair.source.waitForStatus('setup');
      return silent;
    },
  },
  active: {
    options: { ...patient, workload: 'random', parameters: endless },
    async enter(pair) {
      await pair.migrate();
      await pair.source.waitForPass(2);
      return await nothing();
    },
  },
  'pre-switchover': {
    options: { ...patient, parameters: fast },
    async enter(pair) {
      const capabilities = [{ capability: 'pause-before-switchover', state: true }];
      await pair.source.execute('migrate-set-capabilities', { capabilities });
      await pair.migrate();
      await pair.source.waitForStatus('pre-switchover');
      return await nothing();
    },
  },
  /** The guest is stopped, its state is sent, the order to run has not left. */
  device: {
    options: { ...patient, parameters: fast },
    enter: async (pair) => await heldAt(pair, 'loaded', (uri) => pair.migrate(uri)),
  },
  /** The order to run has left, and nobody knows what became of it. */
  'device, ordered': {
    options: { ...patient, parameters: fast },
    enter: async (pair) => await heldAt(pair, 'running', (uri) => pair.migrate(uri)),
  },
  'postcopy-device': {
    options: postcopy,
    enter: async (pair) => await heldAt(pair, 'loaded', (uri) => pair.migrateByPostcopy(uri)),
  },
  'postcopy-active': {
    options: postcopy,
    async enter(pair) {
      await pair.untilPostcopyActive();
      return await nothing();
    },
  },
  'postcopy-paused': {
    options: postcopy,
    async enter(pair) {
      await paused(pair);
      return await nothing();
    },
  },
  'postcopy-recover-setup': {
    options: postcopy,
    async enter(pair) {
      await paused(pair);
      const silent = await silentListener('unix', pair.directory.path);
      await pair.resume(silent.uri);
      await pair.source.waitForStatus('postcopy-recover-setup');
      return silent;
    },
  },
  'postcopy-recover': {
    options: postcopy,
    async enter(pair) {
      await paused(pair);
      const held = await heldAt(pair, 'recovering', (uri) => pair.resume(uri));
      await pair.source.waitForStatus('postcopy-recover');
      return held;
    },
  },
  completed: {
    options: { ...patient, parameters: fast },
    async enter(pair) {
      await pair.migrate();
      await pair.waitForBoth('completed');
      return await nothing();
    },
  },
  cancelled: {
    options: { ...patient, workload: 'random', parameters: endless },
    async enter(pair) {
      const silent = await silentListener('unix', pair.directory.path);
      await pair.migrate(silent.uri);
      await pair.source.waitForStatus('setup');
      await pair.source.execute('migrate_cancel');
      await pair.source.waitForStatus('cancelled');
      return silent;
    },
  },
  failed: {
    options: patient,
    async enter(pair) {
      await pair.migrate(await refusedAddress('unix', pair.directory.path));
      await pair.source.waitForStatus('failed');
      return await nothing();
    },
  },
} as const satisfies Record<string, Scene>;

export type SourceState = keyof typeof sourceScenes;

/** Plays the scene on a pair of its own, then the act. */
export async function inScene(
  state: SourceState,
  act: (pair: Pair) => Promise<void>,
): Promise<void> {
  const scene = sourceScenes[state];
  await withPair(scene.options, async (pair) => {
    await using stage = await scene.enter(pair);
    await act(pair);
    await stage?.[Symbol.asyncDispose]();
  });
}

/** What query-migrate says in a state. */
export function statusIn(state: SourceState): string | undefined {
  if (state === 'none') return undefined;
  return state === 'device, ordered' ? 'device' : state;
}

/** The commands of the table, with arguments that are good as such. */
export const tableCommands = {
  migrate_cancel: () => ({}),
  'migrate-pause': () => ({}),
  'migrate resume': ({ uri }) => ({ uri, resume: true }),
  migrate: ({ uri }) => ({ uri }),
  'migrate-start-postcopy': () => ({}),
  'migrate-continue': () => ({ state: 'pre-switchover' }),
  cont: () => ({}),
  'migrate-set-capabilities': () => ({
    capabilities: [{ capability: 'postcopy-blocktime', state: true }],
  }),
  'migrate-set-parameters': () => ({ 'downtime-limit': 0 }),
  'migrate-recover': ({ uri }) => ({ uri }),
  'migrate-incoming': ({ uri }) => ({ uri }),
  yank: () => ({ instances: [{ type: 'migration' }] }),
} as const satisfies Record<string, (pair: Pair) => Record<string, unknown>>;

export type TableCommand = keyof typeof tableCommands;

/** @returns `ok`, or the error as `class: desc`. */
export async function attempt(
  guest: GuestProcess,
  command: TableCommand,
  pair: Pair,
): Promise<string> {
  const name = command === 'migrate resume' ? 'migrate' : command;
  try {
    await guest.execute(name, tableCommands[command](pair));
    return 'ok';
  } catch (error) {
    const { class: errorClass, message } = error as { class?: string; message: string };
    return `${errorClass ?? 'no reply'}: ${message}`;
  }
}

async function paused(pair: Pair): Promise<void> {
  await pair.untilPostcopyActive();
  await pair.source.executeOob('migrate-pause');
  await pair.waitForBoth('postcopy-paused');
}

/** What a message of this name would change waits until the scene is let go of. */
async function heldAt(
  pair: Pair,
  frame: 'loaded' | 'running' | 'recovering',
  begin: (uri: string) => Promise<void>,
): Promise<AsyncDisposable> {
  const link = await pair.openLink();
  const held = link.hold({ frame });
  await begin(link.uri);
  await held.reached;
  return {
    [Symbol.asyncDispose]() {
      link.releaseAll();
      return Promise.resolve();
    },
  };
}

function nothing(): Promise<undefined> {
  return Promise.resolve(undefined);
}
