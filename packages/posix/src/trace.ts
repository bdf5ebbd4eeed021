import { openSync, writeSync } from 'node:fs';
const fd = process.env['G_TRACE'] ? openSync('/tmp/m/trace.log', 'a') : -1;
export function trace(name: string): void {
  if (fd >= 0) writeSync(fd, `${(Number(process.hrtime.bigint()) / 1e3).toFixed(0)} ${process.pid} ${name}\n`);
}
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { isMainThread, threadId } from 'node:worker_threads';
if (fd >= 0) {
  new PerformanceObserver((list) => {
    const off = Number(process.hrtime.bigint()) / 1e3 - performance.now() * 1e3;
    for (const e of list.getEntries()) {
      const k = (e as unknown as { detail: { kind: number; flags: number } }).detail;
      writeSync(fd, `${(e.startTime * 1e3 + off).toFixed(0)} ${process.pid} GC kind ${k.kind} took ${(e.duration * 1e3).toFixed(0)} us thread ${isMainThread ? 'main' : threadId}\n`);
    }
  }).observe({ entryTypes: ['gc'] });
}
