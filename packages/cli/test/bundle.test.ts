import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../bin/godwit.js', import.meta.url));
const [BEFORE, THEN, AFTER] = [1000, 2000, 3000];

/** A checkout in which the build and the bundle each say which they are. */
let packages: string;

beforeEach(() => {
  packages = mkdtempSync(join(tmpdir(), 'godwit-bundle-'));
  put('cli/package.json', '{"type": "module"}');
  put('cli/bin/godwit.js', '');
  copyFileSync(PROGRAM, join(packages, 'cli/bin/godwit.js'));
  put('cli/dist/main.js', 'process.stdout.write("the build")');
  put('cli/dist/.tsbuildinfo', '', BEFORE);
  put('core/dist/.tsbuildinfo', '', BEFORE);
});

afterEach(() => rmSync(packages, { recursive: true, force: true }));

test('the command is its bundle', () => {
  putBundle();
  expect(run()).toBe('the bundle');
});

test('a build of any package that is newer than the bundle is run in its place', () => {
  putBundle();
  put('core/dist/.tsbuildinfo', '', AFTER);
  expect(run()).toBe('the build');
});

test('without a bundle the build is run', () => {
  expect(run()).toBe('the build');
});

function putBundle(): void {
  put('cli/dist/bundle/main.js', 'process.stdout.write("the bundle")', THEN);
}

/** @param madeAt seconds since the epoch. */
function put(file: string, text: string, madeAt = BEFORE): void {
  const path = join(packages, file);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  utimesSync(path, madeAt, madeAt);
}

function run(): string {
  return execFileSync(process.execPath, [join(packages, 'cli/bin/godwit.js')], {
    encoding: 'utf8',
  });
}
