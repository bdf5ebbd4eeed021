import { parentPort, workerData } from 'node:worker_threads';

import { openMemoryPages } from '../pages/memory-pages.ts';
import { verifyMemory, type VerifyTask } from '../verifier.ts';

// Sent by verifyGuest, which states the type.
const { ram, expectation } = workerData as VerifyTask;

parentPort?.postMessage(verifyMemory(openMemoryPages(ram), expectation));
