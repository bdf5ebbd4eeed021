import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isLike, isLineLike, type Json, project } from './guide-likeness.ts';
import { Journal, within } from './wait.ts';

/** The words that the guides have their reader make an alias of. */
const words = { godwit: 'packages/cli/bin/godwit.js', relay: 'docs/guides/relay.mjs' };
const root = fileURLToPath(new URL('../../', import.meta.url));
const ANSWER_MILLIS = 20_000;
const COMMAND_MILLIS = 40_000;

/**
 * Does what a guide tells its reader to do, and sees whether it answers what the guide shows. Fenced
 * blocks of two kinds are run, in order, in a directory of their own:
 *
 * - `console`: a line with `$ ` is a command, what follows is what it prints. One that ends with ` &`
 *   goes on in the background; the guide goes on when it has printed its first line.
 * - `qmp SOCKET`: a connection that stays, a terminal so to speak. `-> ` is typed, `<- ` is awaited; the
 *   next message must be like it: it may have more members, and numbers and times may be others.
 *   MIGRATION_PASS is passed over, for how many passes there are nobody knows.
 */
export class GuideRun implements AsyncDisposable {
  readonly #directory: string;
  readonly #terminals = new Map<string, Terminal>();
  readonly #background: ChildProcess[] = [];

  /** @param directory short, empty; the commands run in it. */
  static async open(directory: string): Promise<GuideRun> {
    const bin = join(directory, '.bin');
    await mkdir(bin);
    for (const [word, file] of Object.entries(words)) {
      const script = `#!/bin/sh\nexec '${process.execPath}' '${root}${file}' "$@"\n`;
      await writeFile(join(bin, word), script, { mode: 0o755 });
    }
    return new GuideRun(directory);
  }

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * @returns the guide with what was really said: for `isUpdate`, which tolerates that it differs.
   * @throws naming the line that is not as shown.
   */
  async follow(markdown: string, isUpdate: boolean): Promise<string> {
    const result: string[] = [];
    let fence: string | undefined;
    let block: string[] = [];
    for (const [index, line] of markdown.split('\n').entries()) {
      if (fence === undefined) {
        result.push(line);
        if (/^```(console|qmp )/.test(line)) [fence, block] = [line.slice(3), []];
      } else if (line === '```') {
        const where = `line ${index + 1 - block.length}`;
        result.push(...(await this.#run(fence, block, { where, isUpdate })), line);
        fence = undefined;
      } else block.push(line);
    }
    return result.join('\n');
  }

  async #run(fence: string, block: readonly string[], how: How): Promise<string[]> {
    const [kind, socket = ''] = fence.split(' ');
    return kind === 'qmp' ? await this.#talk(socket, block, how) : await this.#console(block, how);
  }

  async #talk(socket: string, block: readonly string[], how: How): Promise<string[]> {
    const known = this.#terminals.get(socket);
    const terminal = known ?? (await Terminal.open(join(this.#directory, socket)));
    this.#terminals.set(socket, terminal);
    const said: string[] = [];
    for (const line of block) {
      if (line.startsWith('-> ')) terminal.write(line.slice(3));
      if (!line.startsWith('<- ')) {
        said.push(line);
        continue;
      }
      const shown = JSON.parse(line.slice(3)) as Json;
      const message = await terminal.next(line);
      const isAsShown = isLike(shown, message);
      if (!isAsShown && !how.isUpdate) {
        throw new Error(`${how.where}: ${line}\nbut it is ${JSON.stringify(message)}`);
      }
      said.push(`<- ${JSON.stringify(isAsShown ? project(shown, message) : message)}`);
    }
    return said;
  }

  async #console(block: readonly string[], how: How): Promise<string[]> {
    const said: string[] = [];
    for (let i = 0; i < block.length;) {
      const begin = i;
      while (block[i]?.endsWith('\\')) i += 1;
      const command = block.slice(begin, ++i);
      const shown: string[] = [];
      while (i < block.length && !block[i]?.startsWith('$ ')) shown.push(block[i++] as string);
      const line = command.join('\n').replace(/^\$ /, '');
      const printed = await this.#execute(line);
      if (!how.isUpdate) expectShown(shown, printed, `${how.where}: $ ${line}`);
      said.push(...command, ...printed);
    }
    return said;
  }

  /** @returns its lines; of one in the background the first. @throws it fails, or takes too long. */
  async #execute(line: string): Promise<string[]> {
    const isBackground = line.endsWith(' &');
    const command = isBackground ? `exec ${line.slice(0, -2)}` : `(${line}) 2>&1`;
    const env = { ...process.env, PATH: `${this.#directory}/.bin:${process.env['PATH']}` };
    const child = spawn('sh', ['-c', command], {
      cwd: this.#directory,
      env: { ...env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#background.push(child);
    if (isBackground) {
      const lines = createInterface({ input: child.stdout });
      const [first] = (await within(once(lines, 'line'), line, ANSWER_MILLIS)) as [string];
      return [first];
    }
    const ended = Promise.all([text(child.stdout), once(child, 'close')]);
    const [output, [code]] = await within(ended, `the end of ${line}`, COMMAND_MILLIS);
    if (code !== 0) throw new Error(`$ ${line}\nends with ${code}: ${output}`);
    return output.trimEnd() === '' ? [] : output.trimEnd().split('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const terminal of this.#terminals.values()) terminal.close();
    for (const child of this.#background) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
}

interface How {
  /** In the guide. */
  readonly where: string;
  readonly isUpdate: boolean;
}

/** Lines may be missing in the guide, but what it shows was printed, in this order. */
function expectShown(shown: readonly string[], printed: readonly string[], where: string): void {
  let from = 0;
  for (const line of shown) {
    const found = printed.findIndex((other, i) => i >= from && isLineLike(line, other));
    if (found < 0) throw new Error(`${where}\ndoes not print ${line}\nbut\n${printed.join('\n')}`);
    from = found + 1;
  }
}

/** A raw connection to a QMP socket. */
class Terminal {
  readonly #socket: Socket;
  readonly #messages = new Journal<Json>();
  #read = 0;

  static async open(path: string): Promise<Terminal> {
    const socket = connect(path);
    await within(once(socket, 'connect'), `the connection to ${path}`);
    return new Terminal(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    createInterface({ input: socket }).on('line', (line) => {
      const message = JSON.parse(line) as Json;
      const isPass = isLike({ event: 'MIGRATION_PASS' }, message);
      if (!isPass) this.#messages.add(message);
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#messages.end(new Error('the connection has ended')));
  }

  write(line: string): void {
    this.#socket.write(`${line}\n`);
  }

  async next(what: string): Promise<Json> {
    const wanted = { since: this.#read, what, limitMillis: ANSWER_MILLIS };
    this.#read = (await this.#messages.find(() => true, wanted)) + 1;
    return this.#messages.entries[this.#read - 1] as Json;
  }

  close(): void {
    this.#socket.destroy();
  }
}
