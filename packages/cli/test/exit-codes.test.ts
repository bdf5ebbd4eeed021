import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

/** Runs the build, as users do. */
const program = fileURLToPath(new URL('../bin/godwit.js', import.meta.url));

function godwit(args: readonly string[], environment: Record<string, string> = {}) {
  return spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
    timeout: 30_000,
  });
}

const guest = ['guest', '--name', 'A', '--memory', '16M'];
const noFiles = 'tls-creds-x509,id=tls0,dir=/nonexistent,endpoint=server';
const nobody = ['--qmp', 'unix:/nonexistent/a.qmp'];

test.each([
  [0, 'help', ['--help']],
  [0, 'help of a command', ['status', '--help']],
  [0, 'the version', ['--version']],
  [0, 'a completion', ['completion', 'bash']],
  [1, 'nobody who answers', ['status', ...nobody]],
  [1, 'nobody who answers, for a watch', ['status', ...nobody, '--watch']],
  [1, 'nobody who answers, for a question', ['why', ...nobody]],
  [2, 'no command', []],
  [2, 'a command there is not', ['levitate']],
  [2, 'an option there is not', ['doctor', '--loud']],
  [2, 'a shell there is not', ['completion', 'csh']],
  [2, 'an option that is missing', ['status']],
  [2, 'a rate that is none', ['migrate', ...nobody, 'unix:/b', '--max-bandwidth', 'fast']],
  [2, 'a size that is none', ['guest', '--name', 'A', '--memory', 'much', '--qmp', 'unix:/x']],
  [2, 'a URI that is none', ['migrate', ...nobody, 'nowhere']],
  [2, 'a URI that is none, to recover by', ['recover', ...nobody, 'nowhere']],
  [2, 'more channels than there may be', ['migrate', ...nobody, 'unix:/b', '--channels', '33']],
  [2, 'half a millisecond', ['migrate', ...nobody, 'unix:/b', '--downtime-limit', '0.5ms']],
  [2, 'a link that carries nothing', ['plan', ...nobody, '--link', '0']],
  [1, 'times with units', ['plan', ...nobody, '--sample', '1.5s', '--downtime-limit', '50ms']],
  [2, 'QMP in the clear, for other machines', [...guest, '--qmp', 'tcp:0.0.0.0:0']],
  [2, 'credentials that are not there', [...guest, '--qmp', 'tcp:127.0.0.1:0,tls-creds=tls0']],
  [2, 'credentials whose files are not there', [...guest, '--qmp', 'unix:/x', '--object', noFiles]],
  [
    2,
    'an object that is not offered',
    [...guest, '--qmp', 'unix:/x', '--object', 'tls-creds-anon'],
  ],
  [2, 'a guest named twice', ['evacuate', '--from', 'unix:/a', 'unix:/./a', '--to', 'unix:/b']],
  [2, 'an interval too short', ['status', ...nobody, '--interval', '1ms']],
])('exit code %i: %s', (code, _case, args) => {
  const { status, stdout, stderr } = godwit(args);
  expect({ status, stderr: code === 0 ? '' : stderr }).toEqual({ status: code, stderr });
  expect(code === 0 ? stdout : stderr).not.toBe('');
  expect(stderr).not.toMatch(/^ +at /m); // no stacks
});

test('doctor is coloured where that is forced, and nowhere else', () => {
  const escape = '\u001B[';
  expect(godwit(['doctor']).stdout).not.toContain(escape);
  expect(godwit(['doctor'], { FORCE_COLOR: '1' }).stdout).toContain(escape);
  expect(godwit(['doctor'], { FORCE_COLOR: '1', NO_COLOR: '1' }).stdout).toContain(escape);
});

test('doctor --json agrees with its exit code', () => {
  const { status, stdout } = godwit(['doctor', '--json']);
  const { fit, findings } = JSON.parse(stdout) as {
    fit: boolean;
    findings: { name: string; level: string; ok: boolean }[];
  };
  expect(status).toBe(fit ? 0 : 1);
  const names = ['Node.js', 'userfaultfd', 'PAGEMAP_SCAN', 'memory cgroup', 'kvm', 'send buffer'];
  expect(findings.map(({ name }) => name)).toEqual(expect.arrayContaining(names));
  expect(findings.every(({ level, ok }) => ok || level !== 'needed')).toBe(fit);
});
