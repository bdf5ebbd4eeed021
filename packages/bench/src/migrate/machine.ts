import { availableParallelism, cpus, release } from 'node:os';

/** What every number depends on, in a line: processors, kernel and Node. */
export function describeMachine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  return `${availableParallelism()} × ${model}, Linux ${release()}, Node ${process.version}`;
}
