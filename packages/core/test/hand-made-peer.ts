import { read, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { pageBytes } from '@godwit/posix';
import {
  type Address,
  type Channel,
  type ControlMessage,
  type ControlType,
  dial,
  encodeControl,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
  FrameType,
  newSession,
  type Role,
  type Session,
} from '@godwit/transport';
import { onTestFinished } from 'vitest';
import type { Guest } from '../src/guest.ts';
import type { RamBlock } from '../src/memory/ram-block.ts';
import { parameterDefaults } from '../src/parameters.ts';

const readDescriptor = promisify(read);

/** Peers made by hand give no heartbeats. */
export const parameters = {
  ...parameterDefaults,
  'x-handshake-timeout': 2000,
  'x-heartbeat-interval': 0,
  'max-bandwidth': 0,
};

/** A guest without vCPUs that remembers what was asked of it. */
export class QuietGuest implements Guest {
  readonly ram: readonly RamBlock[];
  running: boolean;
  onPause: () => void = () => undefined;

  constructor(ram: readonly RamBlock[], running: boolean) {
    this.ram = ram;
    this.running = running;
  }

  pause(): Promise<void> {
    this.running = false;
    this.onPause();
    return Promise.resolve();
  }

  resume(): Promise<void> {
    this.running = true;
    return Promise.resolve();
  }

  saveDeviceState(): Uint8Array {
    return Uint8Array.of(1);
  }

  loadDeviceState(): void {
    // it has none
  }
}

/** A source that says what it is told to, in whatever order. */
export class HandMadeSource {
  readonly channel: Channel;
  readonly #address: Address;
  readonly #session: Session;
  #heard = '';

  private constructor(channel: Channel, address: Address, session: Session) {
    this.channel = channel;
    this.#address = address;
    this.#session = session;
    onTestFinished(() => channel.close());
  }

  static async open(address: Address): Promise<HandMadeSource> {
    const session = newSession();
    const options = { session, role: 'main', epoch: 0, newSession: true } as const;
    const channel = await dial(address, { ...options, timeoutMillis: 5000 });
    return new HandMadeSource(channel, address, session);
  }

  /** The next link of the same session: a recovery. */
  async reopen(): Promise<HandMadeSource> {
    const epoch = this.channel.epoch + 1;
    const options = { session: this.#session, role: 'main', epoch, timeoutMillis: 5000 } as const;
    return new HandMadeSource(await dial(this.#address, options), this.#address, this.#session);
  }

  /** A page channel of the same link. */
  async openPages(index: number): Promise<Channel> {
    return await this.#open('page', index);
  }

  async openUrgent(): Promise<Channel> {
    return await this.#open('urgent', 0);
  }

  async #open(role: Role, index: number): Promise<Channel> {
    const { epoch } = this.channel;
    const options = { session: this.#session, role, epoch, index } as const;
    const channel = await dial(this.#address, { ...options, timeoutMillis: 5000 });
    onTestFinished(() => channel.close());
    return channel;
  }

  /** All in one write. */
  send(...frames: readonly Uint8Array[]): void {
    writeSync(this.channel.descriptor, Buffer.concat(frames));
  }

  /** All that the destination has said so far, as text. */
  get heard(): string {
    return this.#heard;
  }

  /** Waits, on another thread, until the destination has said this. */
  async hears(type: ControlType): Promise<void> {
    while (!this.#heard.includes(type)) this.#heard += await readSome(this.channel);
  }

  /** Waits until the destination has closed the connection. */
  async closed(): Promise<void> {
    for (;;) {
      try {
        await readSome(this.channel);
      } catch {
        return;
      }
    }
  }

  /**
   * @param channels of pages, with the capability multifd.
   * @param compression what these may do.
   */
  start(
    ram: readonly RamBlock[],
    caps: readonly string[] = [],
    channels = 0,
    compression?: string,
  ): Uint8Array {
    const blocks = ram.map((block) => [block.id, block.byteLength] as const);
    const start = { t: 'start', page: pageBytes, blocks, caps, uuid: null } as const;
    if (channels === 0) return control(start);
    return control({ ...start, channels, ...(compression === undefined ? {} : { compression }) });
  }
}

/** What a channel brings next, as text: control messages carry their names in it. */
export async function readSome(channel: Channel): Promise<string> {
  const bytes = Buffer.alloc(4096);
  const { bytesRead } = await readDescriptor(channel.descriptor, bytes, 0, bytes.byteLength, null);
  if (bytesRead === 0) throw new Error('the other side has closed the connection');
  return bytes.toString('latin1', 0, bytesRead);
}

export function control(message: ControlMessage): Uint8Array {
  return encodeControl(message);
}

/** A frame of pages of block 0, which claims that they are compressed in `body`. */
export function zlibFrame(firstPage: number, pageCount: number, body: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.byteLength);
  const { byteLength } = body;
  const view = new DataView(frame.buffer);
  encodeFrameHeader(view, 0, FrameType.ZLIB_PAGES, 0, firstPage, pageCount, byteLength);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

/** A frame of one run of pages in block 0; what its body holds does not matter. */
export function runFrame(type: FrameType, pageCount: number, bodyBytes: number): Uint8Array {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + bodyBytes).fill(0xff, FRAME_HEADER_BYTES);
  encodeFrameHeader(new DataView(frame.buffer), 0, type, 0, 0, pageCount, bodyBytes);
  return frame;
}
