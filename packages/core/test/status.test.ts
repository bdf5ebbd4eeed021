import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  destinationTransitions,
  isInPostcopy,
  isPaused,
  isRunning,
  type MigrationStatus,
  sourceTransitions,
  StatusMachine,
} from '../src/migration/status.ts';

type Table = Readonly<Record<string, readonly string[]>>;

const tables: Readonly<Record<string, Table>> = {
  source: sourceTransitions,
  destination: destinationTransitions,
};
const everyStatus = new Set(
  [sourceTransitions, destinationTransitions].flatMap((it) => Object.keys(it)),
) as ReadonlySet<MigrationStatus>; // the keys of two literals: no others
const ends = ['cancelled', 'completed', 'failed'];
const ourMistake = { code: 'ERR_ASSERTION' };

function newMachine<T extends Table>(table: T, initial: keyof T & string = 'none') {
  const told: string[] = [];
  return { told, machine: new StatusMachine(table, initial, (status) => told.push(status)) };
}

/** Every status that some steps lead to. */
function reachable(table: Table, from: string): Set<string> {
  const seen = new Set<string>();
  const visit = (status: string): void => {
    if (seen.has(status)) return;
    seen.add(status);
    for (const to of table[status] ?? []) visit(to);
  };
  visit(from);
  return seen;
}

for (const [side, table] of Object.entries(tables)) {
  test(`every step of the ${side} leads to a status of its table`, () => {
    const unknown = Object.values(table)
      .flat()
      .filter((to) => !Object.hasOwn(table, to));
    expect(unknown).toEqual([]);
  });

  test(`every status of the ${side} can be reached, and an end from every status`, () => {
    expect(reachable(table, 'none')).toEqual(new Set(Object.keys(table)));
    for (const status of Object.keys(table)) {
      const reached = reachable(table, status);
      expect(ends.some((end) => reached.has(end))).toBe(true);
    }
  });

  test(`no step leads out of an end of the ${side}, nor from a status to itself`, () => {
    for (const [status, targets] of Object.entries(table)) {
      if (ends.includes(status)) expect(targets).toEqual([]);
      expect(targets).not.toContain(status);
      expect(new Set(targets).size).toBe(targets.length);
    }
  });

  test(`the ${side} takes any walk through its table, and tells each step exactly once`, () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { maxLength: 30 }), (choices) => {
        const { machine, told } = newMachine(table);
        const walked: string[] = [];
        for (const choice of choices) {
          const targets = table[machine.status] ?? [];
          const to = targets[choice % targets.length];
          if (to === undefined) break;
          if (choice % 2 === 0) machine.move(machine.status, to);
          else machine.leaveFor(to);
          walked.push(to);
          expect(machine.status).toBe(to);
        }
        expect(told).toEqual(walked);
      }),
    );
  });

  test(`a step missing from the table of the ${side} throws, changes nothing and is not told`, () => {
    for (const [from, targets] of Object.entries(table)) {
      for (const to of Object.keys(table)) {
        const { machine, told } = newMachine(table, from);
        expect(machine.can(to)).toBe(targets.includes(to));
        if (targets.includes(to)) continue;
        expect(() => machine.move(from, to)).toThrow(expect.objectContaining(ourMistake));
        expect(() => machine.leaveFor(to)).toThrow(expect.objectContaining(ourMistake));
        expect([machine.status, told]).toEqual([from, []]);
      }
    }
  });
}

test('a step from where we no longer stand throws, changes nothing and is not told', () => {
  const { machine, told } = newMachine(sourceTransitions);
  machine.move('none', 'setup');
  machine.move('setup', 'active');
  expect(() => machine.move('setup', 'failed')).toThrow(expect.objectContaining(ourMistake));
  expect(machine.status).toBe('active');
  expect(told).toEqual(['setup', 'active']);
});

test('steps that the tables do not have do not compile', () => {
  const source = newMachine(sourceTransitions).machine;
  const destination = newMachine(destinationTransitions).machine;
  const illegal = [
    // @ts-expect-error: the guest has left in part: no cancel in postcopy
    () => source.move('postcopy-active', 'cancelling'),
    // @ts-expect-error: nor a failure that would let the source run it
    () => source.move('postcopy-active', 'failed'),
    // @ts-expect-error: nor once the order to run stays unanswered
    () => source.move('postcopy-paused', 'failed'),
    // @ts-expect-error: recovery begins with a new link
    () => source.move('postcopy-paused', 'postcopy-recover'),
    // @ts-expect-error: nothing follows an end
    () => source.move('completed', 'setup'),
    // @ts-expect-error: a failed migration is not resumed
    () => source.move('failed', 'active'),
    // @ts-expect-error: setup is not passed over
    () => source.move('none', 'active'),
    // @ts-expect-error: only the destination's order of things
    () => source.move('active', 'postcopy-active'),
    // @ts-expect-error: the pause before the switchover is not its end
    () => source.move('pre-switchover', 'completed'),
    // @ts-expect-error: not a status
    () => source.move('postcopy', 'completed'),
    // @ts-expect-error: the destination is not cancelled
    () => destination.move('active', 'cancelling'),
    // @ts-expect-error: the destination has no recover-setup
    () => destination.move('postcopy-paused', 'postcopy-recover-setup'),
    // @ts-expect-error: half a guest is not given up while its other half may come
    () => destination.move('postcopy-paused', 'failed'),
    // @ts-expect-error: no step leads back to the start
    () => source.leaveFor('none'),
    // @ts-expect-error: not a status
    () => source.is('running'),
  ];
  const passed = illegal.map((step) => {
    try {
      return step() ?? true;
    } catch {
      return false;
    }
  });
  expect(passed).toEqual(illegal.map(() => false));
});

test('where it stands is asked of several statuses at once', () => {
  const { machine } = newMachine(sourceTransitions, 'device');
  expect(machine.is('active', 'device')).toBe(true);
  expect(machine.is('active', 'setup')).toBe(false);
  expect(machine.is()).toBe(false);
});

test('both states that wait for a new link are paused', () => {
  const paused = [...everyStatus].filter((status) => isPaused(status));
  expect(paused).toEqual(['postcopy-paused', 'postcopy-recover-setup']);
});

test('a migration runs from setup to its end', () => {
  const still = [...everyStatus].filter((status) => !isRunning(status));
  expect(new Set(still)).toEqual(new Set(['none', ...ends]));
});

test('what is in postcopy cannot be cancelled, and what can be cancelled is not', () => {
  const inPostcopy = [...everyStatus].filter((status) => isInPostcopy(status));
  expect(new Set(inPostcopy)).toEqual(
    new Set(['postcopy-active', 'postcopy-paused', 'postcopy-recover-setup', 'postcopy-recover']),
  );
  for (const status of inPostcopy) {
    expect(newMachine(sourceTransitions, status).machine.can('cancelling')).toBe(false);
  }
});

test('from no status of postcopy does a step lead the source back to running the guest', () => {
  for (const status of everyStatus) {
    if (!isInPostcopy(status)) continue;
    const reached = reachable(sourceTransitions, status);
    expect(['failed', 'cancelled', 'active', 'none'].filter((it) => reached.has(it))).toEqual([]);
  }
});
