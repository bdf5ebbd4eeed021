import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { isLineLike } from '../support/guide-likeness.ts';

const script = fileURLToPath(new URL('../interop/qmp_session.py', import.meta.url));
const guide = fileURLToPath(new URL('../../docs/guides/qemu-qmp-client.md', import.meta.url));
const isUpdate = process.env['GODWIT_UPDATE_GUIDES'] === '1';

/** The script's own word for "QEMU's client is not installed here". */
const SKIPPED = 77;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function run(mode: string): Promise<Outcome> {
  const child = spawn('python3', [script, mode], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  try {
    const [out, err, [code]] = await ended;
    return { code: code as number | null, out, err };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { code: SKIPPED, out: '', err: 'skipped: there is no python3 here' };
  }
}

/** The lines of the guide's block for this mode, and where they begin. */
function transcript(lines: readonly string[], mode: string): { begin: number; shown: string[] } {
  const begin = lines.indexOf(`\`\`\`text ${mode}`) + 1;
  expect(begin).toBeGreaterThan(0);
  return { begin, shown: lines.slice(begin, lines.indexOf('```', begin)) };
}

test.for(['client', 'shell'])(
  "QEMU's own Python client (%s) drives a postcopy with recovery, as the guide shows",
  async (mode, { skip }) => {
    const { code, out, err } = await run(mode);
    if (code === SKIPPED) skip(err.trim());
    if (code !== 0) throw new Error(`${out}\n${err}`);
    const printed = out.trimEnd().split('\n');
    const lines = (await readFile(guide, 'utf8')).split('\n');
    const { begin, shown } = transcript(lines, mode);
    if (isUpdate) {
      return await writeFile(guide, lines.toSpliced(begin, shown.length, ...printed).join('\n'));
    }
    const differing = printed.filter((line, i) => !isLineLike(shown[i] ?? '', line));
    expect(differing).toEqual([]);
    expect(printed).toHaveLength(shown.length);
  },
);
