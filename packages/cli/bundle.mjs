import { readFileSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/*
 * Makes of what `tsc` has built one file for the command and one for each of its threads. Three hundred
 * modules, and seventy for each thread, cost more to load than most of what they do; see
 * docs/decisions/0017-bundle.md. `bin/godwit.js` takes the bundle only while no build is newer.
 */

const packages = fileURLToPath(new URL('..', import.meta.url));
const output = join(packages, 'cli/dist/bundle');
const main = join(packages, 'cli/dist/main.js');
const started = new Date();

rmSync(output, { recursive: true, force: true });
await Promise.all(startedByName().map(bundle));
await bundle(main); // last: where it is, all are
utimesSync(join(output, basename(main)), started, started); // a build from here on is newer

/** The files that Workers and forks are started with; they run for their effect and export nothing. */
function startedByName() {
  const folders = [
    'core/dist/threads',
    'guest/dist/threads',
    'bench/dist/threads',
    'bench/dist/side',
  ];
  return folders
    .flatMap((folder) => readdirSync(join(packages, folder)).map((name) => join(folder, name)))
    .filter((file) => file.endsWith('.js') && !file.endsWith('-api.js'))
    .map((file) => join(packages, file))
    .filter((file) => !/^export [^{]/m.test(readFileSync(file, 'utf8')));
}

/** @param {string} file which is one file afterwards, with all that it imports. */
async function bundle(file) {
  const build = await rolldown({ input: file, platform: 'node', external: ['koffi', /^node:/] });
  await build.write({ file: join(output, basename(file)), codeSplitting: false });
}
