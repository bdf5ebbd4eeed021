import { workerData } from 'node:worker_threads';

import { threadId } from '@godwit/posix';

import { openMemoryPages } from '../pages/memory-pages.ts';
import { rehearseVcpu } from '../vcpu/rehearse-vcpu.ts';
import { StepTimes } from '../vcpu/step-times.ts';
import { VcpuControl } from '../vcpu/vcpu-control.ts';
import { runVcpu } from '../vcpu/vcpu-loop.ts';
import type { VcpuThreadData } from '../vcpu/vcpu-thread.ts';

// Sent by VcpuThread, which states the type.
const { ram, control: buffer, times } = workerData as VcpuThreadData;

const control = new VcpuControl(buffer);
const memory = openMemoryPages(ram);
rehearseVcpu();
control.announceThread(threadId());
runVcpu(memory, control, times === undefined ? undefined : new StepTimes(times));
