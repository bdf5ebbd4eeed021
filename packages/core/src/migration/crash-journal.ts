import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { MigrationError } from '../errors.ts';

/** As 'w', and not through a link: it would lead the secret of the session elsewhere. */
const WRITE_ANEW =
  constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

/** All that a process needs, beside the files of guest RAM, to continue an incoming postcopy. */
export interface PausedState {
  readonly migrationId: Uint8Array;
  readonly secret: Uint8Array;
  readonly epoch: number;
  /** `loaded`: the order to run has not come. */
  readonly phase: 'loaded' | 'running';
  /** The user has stopped it; while `loaded`: whoever takes it up has `Guest.wanted` false. */
  readonly isStopped: boolean;
  readonly pageChannels: number;
  readonly takesCompressed: boolean;
  /** What the source has asked for when it began; it is not said again. */
  readonly heartbeatMillis: number;
  readonly capabilities: readonly string[];
  readonly device: Uint8Array;
  readonly blocks: readonly JournalBlock[];
}

export interface JournalBlock {
  readonly id: string;
  readonly byteLength: number;
  /** One bit per page, least significant first. */
  readonly received: Uint8Array;
  /** With `x-ram-digest`: `PageSums` of the pages that are received. */
  readonly sums?: Uint8Array | undefined;
}

const VERSION = 1;

/**
 * The file beside guest RAM that says whether another process can take up what this one leaves. It is one
 * of three things:
 *
 * | content | means | written |
 * |---|---|---|
 * | none | no guest is here that lacks pages | after completion, or when all is discarded |
 * | `open` | a process has, or had, a guest here that may run: RAM and device state belong together in that process alone | before a guest can arrive; before it goes on after a pause |
 * | `paused` | the guest stands still, and this is all of it that is not in the files | in postcopy-paused, or stopped by its user, once every vCPU stands still |
 *
 * Each is written to a file of its own, flushed, and renamed: whoever dies in between leaves the one before.
 * Mode 0600: it holds the session's secret.
 */
export class CrashJournal {
  readonly #path: string;
  readonly #bootId: string;
  #left: PausedState | undefined;

  /**
   * @param boot of the host, as the kernel calls it.
   * @throws {MigrationError} `ERR_ARGUMENT`: what the file says cannot be continued from, and what that
   *   means for the guest. Nothing changed.
   */
  constructor(path: string, boot: string = bootId()) {
    this.#path = path;
    this.#bootId = boot;
    this.#left = readJournal(path, boot);
  }

  /** What an earlier process has left, until the guest goes on here or is whole: the next one is another. */
  get left(): PausedState | undefined {
    return this.#left;
  }

  open(): void {
    this.#write({ version: VERSION, state: 'open' });
    this.#left = undefined;
  }

  pause(state: PausedState): void {
    const { migrationId, secret, device, blocks, ...rest } = state;
    const content = {
      ...rest,
      bootId: this.#bootId,
      migrationId: toBase64(migrationId),
      secret: toBase64(secret),
      device: toBase64(device),
      blocks: blocks.map(({ id, byteLength, received, sums }) => {
        return { id, byteLength, received: toBase64(received), sums: sums && toBase64(sums) };
      }),
    };
    const digest = digestOf(content);
    this.#write({ version: VERSION, state: 'paused', digest, content });
    // Where it is taken up once more, after an address that could not be listened on: as it is now.
    if (this.#left !== undefined) this.#left = { ...this.#left, isStopped: state.isStopped };
  }

  remove(): void {
    this.#left = undefined;
    rmSync(this.#path, { force: true });
    flush(dirname(this.#path));
  }

  #write(document: object): void {
    const temporary = `${this.#path}.new`;
    const descriptor = openSync(temporary, WRITE_ANEW, 0o600);
    try {
      fchmodSync(descriptor, 0o600); // one that was there: whoever may read it would read the secret
      writeFileSync(descriptor, JSON.stringify(document)); // all of it, where one write takes a part
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, this.#path);
    flush(dirname(this.#path));
  }
}

interface JournalContent extends Omit<PausedState, 'migrationId' | 'secret' | 'device' | 'blocks'> {
  readonly bootId: string;
  readonly migrationId: string;
  readonly secret: string;
  readonly device: string;
  readonly blocks: readonly { id: string; byteLength: number; received: string; sums?: string }[];
}

function readJournal(path: string, boot: string): PausedState | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw refusal(path, (error as Error).message);
  }
  const { bootId: writtenIn, ...content } = decode(path, text);
  // Of one host boot: the RAM that outlives a process is in memory, and so gone with the host.
  if (writtenIn !== boot) {
    throw refusal(path, 'the host was booted since: the pages that had arrived are lost');
  }
  return {
    ...content,
    migrationId: fromBase64(content.migrationId),
    secret: fromBase64(content.secret),
    device: fromBase64(content.device),
    blocks: content.blocks.map(({ id, byteLength, received, sums }) => {
      const summed = sums === undefined ? undefined : fromBase64(sums);
      return { id, byteLength, received: fromBase64(received), sums: summed };
    }),
  };
}

function decode(path: string, text: string): JournalContent {
  let document: { version?: unknown; state?: unknown; digest?: unknown; content?: JournalContent };
  try {
    document = JSON.parse(text) as typeof document; // ours, and proved by its digest below
  } catch {
    throw refusal(path, 'it is no journal');
  }
  const { version, state, digest, content } = document ?? {};
  if (version !== VERSION) throw refusal(path, `its version is not ${VERSION}`);
  if (state === 'open') {
    throw refusal(
      path,
      'the process that had the guest ended while it could run: its RAM and its device state ' +
        'do not belong together any more. If the order to run had not left, the source still has it; ' +
        'else what the guest did here is lost',
    );
  }
  if (state !== 'paused' || content === undefined || digest !== digestOf(content)) {
    throw refusal(path, 'it is damaged');
  }
  return content;
}

function refusal(path: string, why: string): MigrationError {
  const message =
    `cannot continue from the journal '${path}': ${why}. ` +
    'To begin anew, remove it and the files of guest RAM';
  return new MigrationError('ERR_ARGUMENT', message);
}

function digestOf(content: object): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

function flush(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
