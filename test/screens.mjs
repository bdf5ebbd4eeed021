import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/*
 * Runs the demo, and a migration that is looked at from outside, and puts what they print into the
 * README, below the comments that say `screen: NAME`. After a build: npx -y pnpm@12 screens
 */

const GODWIT = fileURLToPath(new URL('../packages/cli/bin/godwit.js', import.meta.url));
const README = fileURLToPath(new URL('../README.md', import.meta.url));
const BEGIN_FRAME = '\u001B[?2026h\u001B[H';
const END_FRAME = '\u001B[?2026l';
const LIMIT_MILLIS = 60_000;

const directory = mkdtempSync(join(tmpdir(), 'godwit-screens-'));
const a = `unix:${join(directory, 'a.qmp')}`;
const b = `unix:${join(directory, 'b.qmp')}`;
/** @type {import('node:child_process').ChildProcess[]} */
const children = [];
try {
  const demo = await run('demo');
  const { watch, whys } = await migration();
  let readme = readFileSync(README, 'utf8');
  readme = put(readme, 'demo', demo);
  readme = put(readme, 'watch', watch);
  readme = put(readme, 'why', whys.join('\n\n'));
  writeFileSync(README, readme);
} finally {
  for (const child of children) child.kill();
  rmSync(directory, { recursive: true, force: true });
}

/** A guest that writes faster than the link sends: precopy cannot end it, postcopy does. */
async function migration() {
  const there = `unix:${join(directory, 'b.mig')}`;
  await guest('--name', 'B', '--memory', '128M', '--qmp', b, '--incoming', there);
  await guest(
    '--name',
    'A',
    '--memory',
    '128M',
    '--qmp',
    a,
    '--workload',
    'random',
    '--rate',
    '6k',
  );
  const screen = watchScreen();
  const capabilities = [
    { capability: 'events', state: true },
    { capability: 'postcopy-ram', state: true },
  ];
  await qmp('migrate-set-capabilities', { capabilities });
  // With a limit of 0 precopy does not end by itself before it has been looked at.
  const limits = ['--max-bandwidth', '20MB/s', '--downtime-limit', '0'];
  await run('migrate', '--qmp', a, there, ...limits);
  await until(async () => (await passes()) >= 3);
  const whys = [await why()];
  await qmp('migrate-set-parameters', { 'max-postcopy-bandwidth': 10_000_000 });
  await qmp('migrate-start-postcopy', {});
  await until(() => / postcopy-active[^]*received [6-9]\d %[^]* faults /.test(screen.frame()));
  const watch = screen.frame();
  whys.push(await why());
  screen.end();
  return { watch: prompt('status', '--watch') + watch, whys };
}

async function why() {
  return prompt('why') + (await run('why', '--qmp', a, '--qmp', b));
}

/** @param {string} command @param {string[]} options */
function prompt(command, ...options) {
  const both = '--qmp unix:/tmp/a.qmp --qmp unix:/tmp/b.qmp';
  return `$ ${['godwit', command, both, ...options].join(' ')}\n`;
}

/** What `godwit status --watch` shows on a terminal of 80 by 24. */
function watchScreen() {
  const command = `stty cols 80 rows 24; exec node ${GODWIT} status --qmp ${a} --qmp ${b} --watch`;
  const env = { ...process.env, TERM: 'xterm', NO_COLOR: '1' };
  const child = spawn('script', ['-qfec', command, '/dev/null'], { env });
  children.push(child);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  return {
    /** The last whole one. */
    frame() {
      const end = output.lastIndexOf(END_FRAME);
      const begin = output.lastIndexOf(BEGIN_FRAME, end);
      if (begin < 0) return '';
      const frame = output.slice(begin + BEGIN_FRAME.length, end);
      return frame.replaceAll('\u001B[K', '').replaceAll('\u001B[J', '').replaceAll('\r', '');
    },
    end() {
      child.stdin.write('\u0003');
    },
  };
}

/** @param {string[]} args */
async function guest(...args) {
  const child = spawn('node', [GODWIT, 'guest', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data'); // it says where it listens
}

/** @param {string} command @param {object} args */
async function qmp(command, args) {
  await run('qmp', '--qmp', a, command, JSON.stringify(args));
}

async function passes() {
  /** @type {unknown} */
  const info = JSON.parse(await run('qmp', '--qmp', a, 'query-migrate'));
  const { ram } = /** @type {{ ram?: { 'dirty-sync-count': number } }} */ (info);
  return ram?.['dirty-sync-count'] ?? 0;
}

/** @param {string[]} args @returns what it prints. */
async function run(...args) {
  const { stdout } = await promisify(execFile)('node', [GODWIT, ...args]);
  return stdout.trimEnd();
}

/** @param {() => boolean | Promise<boolean>} holds */
async function until(holds) {
  const limit = performance.now() + LIMIT_MILLIS;
  while (!(await holds())) {
    if (performance.now() > limit) throw new Error(`waited in vain for ${holds.toString()}`);
    await sleep(100);
  }
}

/** @param {string} text @param {string} name @param {string} screen */
function put(text, name, screen) {
  const begin = text.indexOf(`<!-- screen: ${name} -->\n`);
  if (begin < 0) throw new Error(`the README has no place for ${name}`);
  const from = text.indexOf('```\n', begin) + 4;
  const to = text.indexOf('```\n', from);
  const lines = screen.split('\n').map((line) => line.trimEnd());
  return `${text.slice(0, from)}${lines.join('\n')}\n${text.slice(to)}`;
}
