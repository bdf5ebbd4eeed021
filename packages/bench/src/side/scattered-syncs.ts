import assert from 'node:assert/strict';

import { dirtySyncTasks } from '../micro/dirty-sync-tasks.ts';
import { monotonicMillis } from '../migrate/clock.ts';

/**
 * @returns how many milliseconds each dirty sync takes before which a guest has written 10 000 pages,
 *   far apart: the micro-benchmark of that, run by run.
 */
export function scatteredSyncs(memoryBytes: number): readonly number[] {
  using group = dirtySyncTasks(memoryBytes);
  const task = group.tasks.find(({ name }) => name.includes('far apart'));
  assert(task?.before !== undefined && task.runs !== undefined); // what is written is the point
  const { run, before, runs } = task;
  return Array.from({ length: runs }, () => {
    before();
    const startMillis = monotonicMillis();
    run();
    return monotonicMillis() - startMillis;
  });
}
