import { parentPort, workerData } from 'node:worker_threads';

import { ensureAll, openMemoryPages } from '../pages/memory-pages.ts';
import { verifyMemory, type VerifyTask } from '../verifier.ts';

// Sent by verifyGuest, which states the type.
const { ram, expectation } = workerData as VerifyTask;

const memory = openMemoryPages(ram);
ensureAll(memory);
parentPort?.postMessage(verifyMemory(memory, expectation));
