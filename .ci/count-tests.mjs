import { existsSync, readFileSync } from 'node:fs';

/*
 * Prints `N passed, N failed` from Vitest's JSON report. Without a report the tests did not run: that
 * is one failure, not none. A file that could not be loaded has no tests to its name; it counts as one.
 */
const [report = '', failedSteps = ''] = process.argv.slice(2);
const { passed, failed } = existsSync(report) ? count(report) : { passed: 0, failed: 1 };
const stepFailed = failedSteps.split(' ').includes('test');
console.log(`${passed} passed, ${stepFailed ? Math.max(failed, 1) : failed} failed`);

/**
 * What is read of the report, which Vitest writes as Jest does.
 *
 * @typedef {{ testResults: { status: string, assertionResults: { status: string }[] }[] }} Report
 */

/** @param {string} path */
function count(path) {
  const { testResults } = /** @type {Report} */ (JSON.parse(readFileSync(path, 'utf8')));
  const tests = testResults.flatMap((file) => file.assertionResults);
  const brokenFiles = testResults.filter(
    (file) =>
      file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  );
  return {
    passed: tests.filter((test) => test.status === 'passed').length,
    failed: tests.filter((test) => test.status === 'failed').length + brokenFiles.length,
  };
}
