import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { closeSync, mkdtempSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/*
 * Runs the fault suite again and again, each run with another seed (`GODWIT_SEED`), and stops at the
 * first run that fails: the seed it prints repeats the run, the log holds what the run said.
 *
 *     pnpm faults:soak [--runs 50] [--seed START] [--both]
 *
 * The runs take unix and tcp in turn, by their seeds; --both takes both in each.
 */

/** Seeds fit in 32 bits unsigned, so that every generator takes them as they are. */
const SEED_LIMIT = 2 ** 32;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(randomInt(SEED_LIMIT)) },
    both: { type: 'boolean', default: false },
  },
});
const runs = wholeNumber('runs', values.runs);
const firstSeed = wholeNumber('seed', values.seed);
const logs = mkdtempSync(join(tmpdir(), 'godwit-soak-'));
console.log(`${runs} runs of the fault suite from seed ${firstSeed}; logs in ${logs}`);

for (let run = 1; run <= runs; run += 1) {
  const seed = (firstSeed + run - 1) % SEED_LIMIT;
  const log = join(logs, `seed-${seed}.log`);
  const started = performance.now();
  const transport = seed % 2 === 0 ? 'unix' : 'tcp'; // as vitest.config.ts does
  const only = { GODWIT_TRANSPORT: values.both ? 'both' : transport };
  const passed = runFaultSuite(seed, only, log);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const what = `run ${run}/${runs} seed ${seed} ${only.GODWIT_TRANSPORT}`;
  console.log(`${what} ${passed ? 'passed' : 'FAILED'} in ${seconds} s`);
  if (!passed) {
    console.error(`seed ${seed} failed; log: ${log}`);
    const settings = Object.entries({ GODWIT_SEED: seed, ...only });
    const prefix = settings.map(([name, value]) => `${name}=${value}`).join(' ');
    console.error(`again: ${prefix} npx -y pnpm@12 test:faults`);
    process.exit(1);
  }
}

/**
 * @param {number} seed
 * @param {Record<string, string>} only
 * @param {string} log where the output of the run goes
 * @returns {boolean} whether every test passed; a run without tests has not passed
 */
function runFaultSuite(seed, only, log) {
  const output = openSync(log, 'w');
  try {
    const { status, error } = spawnSync('vitest', ['run', '--project', 'faults'], {
      env: { ...process.env, ...only, GODWIT_SEED: String(seed), NO_COLOR: '1' },
      stdio: ['ignore', output, output],
    });
    if (error) throw error;
    return status === 0;
  } finally {
    closeSync(output);
  }
}

/**
 * @param {string} name
 * @param {string} text
 */
function wholeNumber(name, text) {
  const value = Number(text);
  assert(Number.isSafeInteger(value) && value >= 0, `--${name} is a whole number, not ${text}`);
  return value;
}
