import { describe, expect, test } from 'vitest';
import {
  attempt,
  inScene,
  type SourceState,
  sourceScenes,
  statusIn,
  type TableCommand,
  tableCommands,
} from '../support/command-matrix.ts';
import type { GuestProcess } from '../support/guest-process.ts';
import type { Pair } from '../support/pair.ts';

/*
 * Which command is allowed in which state: QEMU's table, cell by cell, on real migrations. Where ours
 * is another, a comment says so; docs/QMP.md says why.
 */

/** Refused with this; accepted and nothing changes; or accepted, and this status follows. */
type Cell = RegExp | 'ok' | `→ ${string}`;

const IN_PROGRESS = /^GenericError: There's a migration process in progress$/;
const NOT_PAUSED = /^GenericError: Cannot resume if there is no paused migration$/;
const NO_CANCEL = /^GenericError: Postcopy migration in progress, cannot cancel\./;
const NO_PAUSE = /^GenericError: migrate-pause is currently only supported during postcopy-active/;
const NOT_FINAL = /^GenericError: Migration is not finalized yet$/;
const NOT_THERE = /^GenericError: Migration not in expected state: /;
const NOT_BEGUN = /^GenericError: Postcopy must be started after migration has been started$/;
const NOT_INCOMING = /^GenericError: '-incoming' was not specified on the command line$/;
const STARTED = /^GenericError: The incoming migration has already been started$/;
const NO_RECOVER = /^GenericError: Migrate recover can only be run when postcopy is paused\.$/;
const WAITING = /^GenericError: Guest is waiting for an incoming migration$/;
const HAS_LEFT = /^GenericError: Can't migrate the vm that was paused due to previous migration$/;
const GONE = /^GenericError: The guest was migrated: /;
const ARRIVING = /^GenericError: memory of this guest is still to arrive/;
const NO_INSTANCE = /^DeviceNotFound: Instance not found$/;

const states = Object.keys(sourceScenes) as SourceState[];

function row(cells: Record<SourceState, Cell>): Record<SourceState, Cell> {
  return cells;
}

function everywhere(cell: Cell, but: Partial<Record<SourceState, Cell>> = {}) {
  const all = Object.fromEntries(states.map((it) => [it, cell])) as Record<SourceState, Cell>;
  return row({ ...all, ...but });
}

const idle = (cell: Cell) => ({ none: cell, completed: cell, cancelled: cell, failed: cell });

const onSource: Record<TableCommand, Record<SourceState, Cell>> = {
  migrate_cancel: row({
    ...idle('ok'),
    setup: '→ cancelled',
    active: '→ cancelled',
    'pre-switchover': '→ cancelled',
    device: '→ cancelled',
    'device, ordered': NO_CANCEL, // QEMU: accepted, and both sides may run the guest
    'postcopy-device': '→ cancelled', // QEMU: refused; here the guest is ours until the order to run
    'postcopy-active': NO_CANCEL,
    'postcopy-paused': NO_CANCEL,
    'postcopy-recover-setup': NO_CANCEL,
    'postcopy-recover': NO_CANCEL,
  }),
  'migrate-pause': everywhere(NO_PAUSE, {
    'postcopy-active': '→ postcopy-paused',
    'postcopy-recover-setup': '→ postcopy-paused', // QEMU: refused, and nothing ends the attempt
    'postcopy-recover': '→ postcopy-paused',
  }),
  'migrate resume': everywhere(NOT_PAUSED, { 'postcopy-paused': '→ postcopy-active' }),
  migrate: everywhere(IN_PROGRESS, { ...idle('→ setup'), completed: HAS_LEFT }),
  'migrate-start-postcopy': everywhere('ok', { none: NOT_BEGUN, active: '→ postcopy-active' }),
  'migrate-continue': everywhere(NOT_THERE, { 'pre-switchover': '→ completed' }),
  cont: everywhere(NOT_FINAL, {
    ...idle('ok'),
    setup: 'ok',
    active: 'ok',
    completed: GONE, // QEMU: accepted, and both sides run the guest
  }),
  'migrate-set-capabilities': everywhere(IN_PROGRESS, idle('ok')),
  'migrate-set-parameters': everywhere('ok'),
  'migrate-recover': everywhere(NO_RECOVER),
  // QEMU: refused always; here who has given its guest away may take one again.
  'migrate-incoming': everywhere(NOT_INCOMING, { completed: '→ setup' }),
  yank: row({
    ...idle(NO_INSTANCE),
    setup: '→ failed', // QEMU: does not reach a connection that is being opened
    active: '→ failed',
    'pre-switchover': '→ failed',
    device: '→ failed',
    'device, ordered': '→ postcopy-paused', // QEMU: failed, and both sides may run the guest
    'postcopy-device': '→ failed',
    'postcopy-active': '→ postcopy-paused',
    'postcopy-paused': 'ok',
    'postcopy-recover-setup': '→ postcopy-paused', // QEMU: as in setup
    'postcopy-recover': '→ postcopy-paused',
  }),
};

/** What a destination is in while its source is in one of these. */
const destinationStates = {
  none: 'setup',
  active: 'active',
  'postcopy-active': 'postcopy-active',
  'postcopy-paused': 'postcopy-paused',
  'postcopy-recover': 'postcopy-recover',
  completed: 'completed',
} as const satisfies Partial<Record<SourceState, string>>;

type DestinationScene = keyof typeof destinationStates;

const onDestination: Record<TableCommand, Record<DestinationScene, Cell>> = {
  migrate_cancel: onEach('ok'),
  'migrate-pause': onEach(NO_PAUSE, {
    'postcopy-active': '→ postcopy-paused',
    'postcopy-recover': '→ postcopy-paused',
  }),
  'migrate resume': onEach(NOT_PAUSED),
  migrate: onEach(ARRIVING, { none: WAITING, active: WAITING, completed: '→ setup' }),
  'migrate-start-postcopy': onEach(NOT_BEGUN),
  'migrate-continue': onEach(NOT_THERE),
  cont: onEach('ok'),
  'migrate-set-capabilities': onEach('ok'),
  'migrate-set-parameters': onEach('ok'),
  'migrate-recover': onEach(NO_RECOVER, { 'postcopy-paused': 'ok' }),
  'migrate-incoming': onEach(STARTED),
  yank: onEach('→ postcopy-paused', {
    none: 'ok',
    active: '→ failed',
    'postcopy-paused': 'ok',
    completed: NO_INSTANCE,
  }),
};

function onEach(cell: Cell, but: Partial<Record<DestinationScene, Cell>> = {}) {
  const all = Object.keys(destinationStates).map((scene) => [scene, cell]);
  return { ...Object.fromEntries(all), ...but } as Record<DestinationScene, Cell>;
}

async function status(guest: GuestProcess): Promise<string | undefined> {
  return (await guest.execute<{ status?: string }>('query-migrate')).status;
}

const commands = Object.keys(tableCommands) as TableCommand[];

async function expectUnmoved(
  guest: GuestProcess,
  pair: Pair,
  expected: string | undefined,
  cells: (command: TableCommand) => Cell,
): Promise<void> {
  const told = guest.statuses.length;
  const answers: Record<string, unknown> = { 'to nothing': ['', await status(guest)] };
  const wanted: Record<string, unknown> = { 'to nothing': ['', expected] };
  for (const command of commands) {
    const cell = cells(command);
    if (typeof cell === 'string' && cell !== 'ok') continue;
    answers[command] = [await attempt(guest, command, pair), await status(guest)];
    wanted[command] = [cell === 'ok' ? cell : expect.stringMatching(cell), expected];
  }
  expect(answers).toEqual(wanted);
  expect(guest.statuses).toHaveLength(told);
}

function moving<State extends string>(
  state: State,
  table: Record<TableCommand, Record<State, Cell>>,
) {
  return commands.flatMap((command) => {
    const [, next] = String(table[command][state]).split('→ ');
    return next === undefined ? [] : [{ command, next }];
  });
}

describe.each(states)('a source in %s', (state) => {
  test('refuses what it must, and what changes nothing changes nothing', async () => {
    await inScene(state, async (pair) => {
      await expectUnmoved(pair.source, pair, statusIn(state), (it) => onSource[it][state]);
    });
  });

  for (const { command, next } of moving(state, onSource)) {
    test(`${command} leads to ${next}`, async () => {
      await inScene(state, async (pair) => {
        expect(await attempt(pair.source, command, pair)).toBe('ok');
        await pair.source.waitForStatus(next);
      });
    });
  }
});

const destinationScenes = Object.keys(destinationStates) as DestinationScene[];

describe.each(destinationScenes)('a destination whose source is in %s', (scene) => {
  test('refuses what it must, and what changes nothing changes nothing', async () => {
    await inScene(scene, async (pair) => {
      const expected = destinationStates[scene];
      await pair.destination.untilStatusIs(expected);
      await expectUnmoved(pair.destination, pair, expected, (it) => onDestination[it][scene]);
    });
  });

  for (const { command, next } of moving(scene, onDestination)) {
    test(`${command} leads to ${next}`, async () => {
      await inScene(scene, async (pair) => {
        await pair.destination.untilStatusIs(destinationStates[scene]);
        expect(await attempt(pair.destination, command, pair)).toBe('ok');
        await pair.destination.waitForStatus(next);
      });
    });
  }
});
