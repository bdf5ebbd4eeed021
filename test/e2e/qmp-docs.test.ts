import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { memoryMode } from '../support/guest-options.ts';
import { GuestProcess } from '../support/guest-process.ts';
import { HostileClient } from '../support/hostile-client.ts';
import {
  difference,
  isEvent,
  readTranscript,
  type TranscriptLine,
} from '../support/qmp-transcript.ts';
import { TestDirectory } from '../support/test-directory.ts';

const DOCUMENT = new URL('../../docs/QMP.md', import.meta.url);

/** One guest of the examples, over a connection that shows and hides nothing. */
class Player implements AsyncDisposable {
  readonly #guest: GuestProcess;
  readonly #client: HostileClient;
  readonly #greeting: unknown;
  #negotiated = false;
  /** Events that were passed over while an answer was waited for. */
  readonly #events: unknown[] = [];

  static async start(name: 'A' | 'B', directory: TestDirectory): Promise<Player> {
    const side = name === 'A' ? {} : { incoming: 'defer' };
    const options = { name, directory, memory: '32M', rate: 500, ...side };
    const guest = await GuestProcess.start(options);
    await guest.setCapabilities({ events: false }); // as a guest is that nobody has talked to
    const client = await HostileClient.connect(directory.file(`${name}.qmp`));
    const [greeting = ''] = await client.lines(1);
    return new Player(guest, client, JSON.parse(greeting));
  }

  private constructor(guest: GuestProcess, client: HostileClient, greeting: unknown) {
    this.#guest = guest;
    this.#client = client;
    this.#greeting = greeting;
  }

  async send(message: unknown): Promise<void> {
    const { execute } = message as { execute?: string };
    if (execute === 'qmp_capabilities') this.#negotiated = true;
    await this.#client.write(`${JSON.stringify(message)}\n`);
  }

  /** Before the first request that does not show it. */
  async negotiate(): Promise<void> {
    if (this.#negotiated) return;
    this.#negotiated = true;
    await this.#client.write('{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}\n');
    await this.#client.lines(1);
  }

  /** @returns the greeting, the next answer, or the next event like this one. */
  async receive(shown: unknown): Promise<unknown> {
    if (Object.hasOwn(shown as object, 'QMP')) return this.#greeting;
    if (!isEvent(shown)) return await this.#next((message) => !isEvent(message));
    const isMeant = (message: unknown): boolean => difference(shown, message) === undefined;
    const seen = this.#events.findIndex(isMeant);
    if (seen < 0) return await this.#next(isMeant);
    return this.#events.splice(0, seen + 1).at(-1);
  }

  async #next(isMeant: (message: unknown) => boolean): Promise<unknown> {
    for (;;) {
      const [line = ''] = await this.#client.lines(1);
      const message: unknown = JSON.parse(line);
      if (isMeant(message)) return message;
      if (!isEvent(message)) throw new Error(`an answer came instead: ${line}`);
      this.#events.push(message);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
    await this.#guest[Symbol.asyncDispose]();
  }
}

class Stage implements AsyncDisposable {
  readonly #directory: TestDirectory;
  readonly #players: Record<'A' | 'B', Player>;

  static async open(): Promise<Stage> {
    const directory = await TestDirectory.make();
    const [a, b] = await Promise.all([Player.start('A', directory), Player.start('B', directory)]);
    return new Stage(directory, { A: a, B: b });
  }

  private constructor(directory: TestDirectory, players: Record<'A' | 'B', Player>) {
    this.#directory = directory;
    this.#players = players;
  }

  async play({ guest, direction, message }: TranscriptLine, isShown: boolean): Promise<void> {
    const player = this.#players[guest];
    // The files of the examples are in /tmp, ours in a directory of their own.
    const text = JSON.stringify(message).replaceAll('/tmp/', `${this.#directory.path}/`);
    const here: unknown = JSON.parse(text, isTold);
    if (direction === 'sent') {
      if (!isShown) await player.negotiate();
      return await player.send(here);
    }
    const found = difference(here, await player.receive(here));
    if (found !== undefined) throw new Error(found);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#players.A[Symbol.asyncDispose]();
    await this.#players.B[Symbol.asyncDispose]();
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** Portable memory has no guardian; all else is told in both modes. */
function isTold(key: string, value: unknown): unknown {
  return key === 'x-guardian' && memoryMode === 'portable' ? undefined : value;
}

/** From a line that begins anew to the next. */
function scenes(lines: readonly TranscriptLine[]): TranscriptLine[][] {
  const all: TranscriptLine[][] = [];
  for (const line of lines) {
    if (line.isFresh || all.length === 0) all.push([]);
    all.at(-1)?.push(line);
  }
  return all;
}

const transcript = scenes(readTranscript(await readFile(DOCUMENT, 'utf8')));

test.each(transcript.map((lines) => [lines[0]?.line, lines] as const))(
  'the examples of docs/QMP.md from line %d on are what two guests say',
  async (_first, lines) => {
    await using stage = await Stage.open();
    // A guest whose greeting is shown negotiates in the example, or not yet.
    const greeted = new Set(lines.filter((it) => isGreeting(it.message)).map((it) => it.guest));
    for (const line of lines) {
      try {
        await stage.play(line, greeted.has(line.guest));
      } catch (error) {
        throw new Error(`docs/QMP.md:${line.line}: ${(error as Error).message}`, { cause: error });
      }
    }
    expect(lines.length).toBeGreaterThan(0);
  },
);

function isGreeting(message: unknown): boolean {
  return Object.hasOwn(message as object, 'QMP');
}
