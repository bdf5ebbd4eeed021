import { stdout } from 'node:process';
import { Bench } from 'tinybench';
import { addBitmapTasks } from './bitmap-tasks.ts';
import { addFrameTasks } from './frame-tasks.ts';
import { addMemoryTasks } from './memory-tasks.ts';
import { describeMachine } from './migrate/machine.ts';

/** Micro-benchmarks of what is done per page and per frame; medians, on this machine, now. */
async function main(): Promise<void> {
  const bench = new Bench({ time: 200, warmupTime: 50 });
  addFrameTasks(bench);
  addBitmapTasks(bench);
  using memory = addMemoryTasks(bench);
  await bench.run();
  stdout.write(`${describeMachine()}\n`);
  for (const task of bench.tasks) {
    const { latency } = task.result as { latency?: { p50: number; p99: number } };
    if (latency === undefined) throw new Error(`${task.name} did not run`);
    stdout.write(
      `${task.name.padEnd(52)} ${micros(latency.p50)} median ${micros(latency.p99)} p99\n`,
    );
  }
  stdout.write(`memory benchmarks over ${memory.byteLength / 2 ** 20} MiB\n`);
}

function micros(millis: number): string {
  return `${(millis * 1000).toFixed(2).padStart(10)} µs`;
}

await main();
