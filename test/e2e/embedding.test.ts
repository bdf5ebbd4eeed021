import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { postcopyOfDestination, postcopyOfSource } from '../support/sequences.ts';
import { TestDirectory } from '../support/test-directory.ts';
import { within } from '../support/wait.ts';

const example = fileURLToPath(new URL('../../examples/embedding/', import.meta.url));
const guide = fileURLToPath(new URL('../../docs/guides/embedding.md', import.meta.url));

/** A process of the example; its output by lines once it has ended, by itself and with 0. */
function run(
  role: 'send' | 'receive',
  uri: string,
): { listens: Promise<void>; lines: Promise<string[]> } {
  const child = spawn(process.execPath, [`${example}dist/counting-guest.js`, role, uri]);
  const output = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const lines = output.then(([out, err, [code]]) => {
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return out.trimEnd().split('\n');
  });
  const kill = setTimeout(() => child.kill('SIGKILL'), 30_000);
  void lines.catch(() => undefined).finally(() => clearTimeout(kill));
  return { listens: once(child.stdout, 'data').then(() => undefined), lines };
}

test('the example moves its guest to another process, and every count arrives', async () => {
  await using directory = await TestDirectory.make();
  const uri = `unix:${directory.file('migration')}`;
  const destination = run('receive', uri);
  await within(destination.listens, 'the first word of the destination');
  const sent = await run('send', uri).lines;
  const received = await destination.lines;
  expect(sent.slice(0, -1)).toEqual(postcopyOfSource);
  expect(received.slice(0, -1)).toEqual(postcopyOfDestination);
  const [left = 0, leftSum] = sent.at(-1)?.match(/\d+/g)?.map(Number) ?? [];
  const [steps = 0, sum] = received.at(-1)?.match(/\d+/g)?.map(Number) ?? [];
  expect(leftSum).toBe(left);
  expect(sum).toBe(steps);
  expect(left).toBeGreaterThan(0);
  expect(steps).toBeGreaterThanOrEqual(left);
});

test('the guide shows the example as it is, in less than 60 lines', async () => {
  const program = await readFile(`${example}src/counting-guest.ts`, 'utf8');
  expect(await readFile(guide, 'utf8')).toContain(`\`\`\`ts\n${program}\`\`\`\n`);
  expect(program.trimEnd().split('\n').length).toBeLessThan(60);
});
