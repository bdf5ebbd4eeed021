import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { within } from './wait.ts';

const GODWIT = fileURLToPath(new URL('../../packages/cli/bin/godwit.js', import.meta.url));
const LIMIT_MILLIS = 45_000;

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `godwit` command in a process of its own. */
export class GodwitCommand implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #stdout: string[] = [];
  readonly #stderr: string[] = [];
  readonly #closed: Promise<CommandResult>;

  constructor(...args: readonly string[]) {
    const stdio = ['ignore', 'pipe', 'pipe'] as const;
    const child = spawn(process.execPath, [GODWIT, ...args], { stdio: [...stdio] });
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.#stdout.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => this.#stderr.push(text));
    this.#child = child;
    this.#closed = once(child, 'close').then(([code]) => ({
      code: code as number | null,
      stdout: this.#stdout.join(''),
      stderr: this.#stderr.join(''),
    }));
  }

  /** To its end. */
  static async run(...args: readonly string[]): Promise<CommandResult> {
    await using command = new GodwitCommand(...args);
    return await command.ended();
  }

  async ended(): Promise<CommandResult> {
    const seen = (): string => `: ${[...this.#stdout, ...this.#stderr].join('')}`;
    return await within(this.#closed, 'the end of the command', LIMIT_MILLIS, seen);
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** As `head` does, once it has seen enough. */
  stopReading(): void {
    this.#child.stdout?.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGKILL');
    await this.#closed;
  }
}
