#!/usr/bin/env node
import { readdirSync, statSync } from 'node:fs';

/*
 * The bundle starts in less than half the time. In a checkout it may be older than what `tsc -b` has made
 * since, of this package or of another: then it is left alone.
 */
const bundle = new URL('../dist/bundle/main.js', import.meta.url);
const packages = new URL('../../', import.meta.url);

await import(isFresh() ? bundle.href : '../dist/main.js');

function isFresh() {
  const bundled = madeAt(bundle);
  if (bundled === 0) return false;
  return readdirSync(packages).every((name) => {
    return madeAt(new URL(`${name}/dist/.tsbuildinfo`, packages)) <= bundled;
  });
}

/** @param {URL} file */
function madeAt(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
