import { randomInt } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';
import type { Plan } from './plan.ts';

/*
 * pnpm fuzz [--minutes 10] [--seed N] [--plan FILE] [--verbose]
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(randomInt(2 ** 32)) },
    plan: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const millis = Number(values.minutes) * 60_000;
if (!Number.isSafeInteger(seed) || !(millis > 0)) {
  console.error('--minutes is a number above 0, --seed a whole number');
  process.exit(2);
}
const plan =
  values.plan === undefined ? undefined : (JSON.parse(readFileSync(values.plan, 'utf8')) as Plan);
const started = performance.now();
const { migrations, links, signatures, finding } = await fuzz({
  seed,
  millis,
  ...(plan === undefined ? {} : { plan }),
  ...(values.verbose ? { onNews: (news) => console.log(news.join('\n')) } : {}),
});
const minutes = (performance.now() - started) / 60_000;
console.log(
  `seed ${seed}: ${migrations} migrations, ${links} links (${Math.round(links / minutes)} a minute), ${signatures} different ends`,
);
if (finding !== undefined) {
  const file = join(tmpdir(), `godwit-fuzz-${seed}.json`);
  writeFileSync(file, JSON.stringify(finding.plan, null, 2));
  console.error(`FOUND: ${finding.what}\nagain: npx -y pnpm@12 fuzz --plan ${file}`);
  process.exit(1);
}
