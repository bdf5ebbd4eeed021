import type { DestinationInfo, SourceInfo } from '@godwit/core';
import type { Workload } from '@godwit/guest';
import type { Address } from '@godwit/transport';

import type { BenchCapability, GuestMemory, MemoryKind } from '../migrate/options.ts';
import type { Sample } from '../migrate/runs.ts';

/** What a side can be told to do: each command's argument and its answer. */
export type SideCommands = Record<string, { readonly argument: unknown; readonly answer: unknown }>;

export interface GuestPlan extends GuestMemory {
  readonly workload: Workload;
  readonly rate: number;
}

export interface MigrationPlan {
  readonly postcopy: boolean;
  /** Streams of pages. */
  readonly channels: number;
  /** Of compression; left out, there is none. */
  readonly zlibLevel?: number;
  /** In hexadecimal digits: connections are encrypted with it. */
  readonly tlsKey?: string;
  readonly capabilities: readonly BenchCapability[];
  readonly downtimeLimitMillis: number;
  /** Bytes/s; 0 is unlimited. */
  readonly postcopyBandwidth: number;
}

export interface IncomingPlan extends GuestMemory {
  readonly memory: MemoryKind;
  /** Streams of pages. */
  readonly channels: number;
  /** As of the source's plan. */
  readonly tlsKey?: string;
  /** Where to listen. */
  readonly address: Address;
}

export interface PumpEndPlan extends IncomingPlan {
  /** Pages are placed where they are missing, as in postcopy. */
  readonly postcopy: boolean;
}

/** Times are those of `monotonicMillis`, CPU seconds are from the command to the end. */
export interface SourceReport {
  /** The first page leaves. */
  readonly activeMillis: number;
  readonly endedMillis: number;
  readonly cpuSeconds: number;
  readonly info: SourceInfo;
}

export interface DestinationReport {
  /** The guest runs here. */
  readonly runsMillis: number;
  readonly completedMillis: number;
  readonly cpuSeconds: number;
  readonly info: DestinationInfo;
  readonly samples: readonly Sample[];
  /** How long the guest's steps took here, by nanoseconds; in the buckets of `StepTimes`. */
  readonly stepTimes: readonly number[];
}

export interface RecoveryReport {
  /** The new link stands. */
  readonly activeMillis: number;
  /** The first page that came over it is in place. */
  readonly firstPageMillis: number;
}

export interface PumpReport {
  /** The first byte leaves; or the reader begins to wait for it. */
  readonly firstMillis: number;
  readonly lastMillis: number;
  readonly cpuSeconds: number;
}

interface None {
  readonly argument: undefined;
  readonly answer: void;
}

export type SourceCommands = {
  /** The guest, its memory filled; stopped. */
  create: { argument: GuestPlan; answer: void };
  /** All but the migration itself: threads are started, the guest runs. */
  prepareMigration: { argument: MigrationPlan; answer: void };
  /** Answers when the migration has completed. */
  migrate: { argument: Address; answer: SourceReport };
  /** Breaks the link; answers once the migration is paused, with when it was broken. */
  cut: { argument: undefined; answer: { cutMillis: number } };
  /** One new link, and the bulk set free; answers with when it was asked for and when it stood. */
  resume: { argument: Address; answer: { askedMillis: number; activeMillis: number } };
  /** Threads for so many streams. */
  preparePump: { argument: number; answer: void };
  pump: { argument: Address; answer: PumpReport };
  /** Milliseconds of dirty syncs of an idle guest of so many bytes, all of them touched. */
  idleSyncs: { argument: number; answer: readonly number[] };
  /** The same with some pages of all that memory written before each, far apart. */
  scatteredSyncs: { argument: number; answer: readonly number[] };
};

export type DestinationCommands = {
  /** An empty guest that listens; its memory is made ready last. Answers with the bound address. */
  prepareMigration: { argument: IncomingPlan; answer: Address };
  /** Answers once this many bytes are here. */
  untilReceived: { argument: number; answer: void };
  untilPaused: None;
  /** From the pause on. */
  untilRecovered: { argument: undefined; answer: RecoveryReport };
  /** Answers when the guest has arrived whole. */
  untilCompleted: { argument: undefined; answer: DestinationReport };
  /** Proves that every byte of the guest is what it must be, and lets go of it. */
  verify: None;
  /** Listens, memory ready. Answers with the bound address. */
  preparePump: { argument: PumpEndPlan; answer: Address };
  untilPumped: { argument: undefined; answer: PumpReport };
};
