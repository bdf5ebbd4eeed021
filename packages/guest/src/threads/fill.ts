import { parentPort, workerData } from 'node:worker_threads';

import type { FillTask } from '../fill.ts';
import { openMemoryPages } from '../pages/memory-pages.ts';
import { fillPages, noteFilled } from '../pages/page-content.ts';

// Sent by fillGuest, which states the type.
const { ram, firstPage, endPage, seed, fill } = workerData as FillTask;

const memory = openMemoryPages(ram);
fillPages(memory, { seed, fill }, firstPage, endPage);
noteFilled(memory, { seed, fill }, firstPage, endPage);
parentPort?.postMessage(true);
