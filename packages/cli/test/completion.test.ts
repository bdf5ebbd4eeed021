import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { bashCompletion } from '../src/completion/bash.ts';
import { commandTree } from '../src/completion/command-tree.ts';
import { fishCompletion } from '../src/completion/fish.ts';
import { zshCompletion } from '../src/completion/zsh.ts';
import { createProgram } from '../src/program.ts';

const tree = commandTree(createProgram());
const directory = mkdtempSync(join(tmpdir(), 'godwit-completion-'));
afterAll(() => rmSync(directory, { recursive: true }));

const scripts = {
  bash: bashCompletion(tree),
  zsh: zshCompletion(tree),
  fish: fishCompletion(tree),
} as const;
for (const [shell, script] of Object.entries(scripts)) {
  writeFileSync(join(directory, `godwit.${shell}`), script);
}
// Shells look whether there is such a command.
const program = join(directory, 'godwit');
writeFileSync(program, '#!/bin/sh\n');
chmodSync(program, 0o755);

function run(shell: string, ...args: readonly string[]): string {
  const env = { ...process.env, PATH: `${directory}:${process.env['PATH']}`, HOME: directory };
  const ended = spawnSync(shell, args, { encoding: 'utf8', env, timeout: 20_000, cwd: directory });
  if (ended.error !== undefined) throw ended.error;
  expect(ended.stderr).toBe('');
  return ended.stdout;
}

function has(shell: string): boolean {
  return spawnSync(shell, ['--version']).status === 0;
}

/** What each shell offers for the last word of a line. */
const complete = {
  bash(words: readonly string[]): string[] {
    const line = words.map((word) => `'${word}'`).join(' ');
    const text = run(
      'bash',
      '--norc',
      '-c',
      `source ./godwit.bash; COMP_WORDS=(${line}); COMP_CWORD=${words.length - 1}; _godwit; printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
    return text.split('\n').filter((word) => word !== '');
  },
  zsh(words: readonly string[]): string[] {
    const line = words.map((word) => `'${word}'`).join(' ');
    // Outside of a line editor the two builtins that show choices are taken down.
    const text = run(
      'zsh',
      '-f',
      '-c',
      `compdef() { :; }; _describe() { print -l -- \${items%%:*}; }; compadd() { shift; print -l -- $@; }
       _files() { print -l -- *; }; source ./godwit.zsh; words=(${line}); CURRENT=${words.length}; _godwit`,
    );
    const last = words.at(-1) ?? '';
    return text.split('\n').filter((word) => word !== '' && word.startsWith(last));
  },
  fish(words: readonly string[]): string[] {
    const text = run('fish', '-N', '-c', `source ./godwit.fish; complete -C '${words.join(' ')}'`);
    return text.split('\n').flatMap((line) => (line === '' ? [] : [line.split('\t')[0] ?? '']));
  },
} as const;

describe.each(['bash', 'zsh', 'fish'] as const)('in %s', (shell) => {
  test.skipIf(!has(shell))('commands are completed', () => {
    expect(complete[shell](['godwit', 'st'])).toEqual(['status']);
    expect(complete[shell](['godwit', 'w'])).toEqual(['why']);
    expect(complete[shell](['godwit', 'bench', 's'])).toEqual(['scale']);
  });

  test.skipIf(!has(shell))('options of the command at hand are completed, and no others', () => {
    expect(complete[shell](['godwit', 'status', '--w'])).toEqual(['--watch']);
    expect(complete[shell](['godwit', 'doctor', '--w'])).toEqual([]);
    expect(complete[shell](['godwit', 'bench', 'migrate', '--sv'])).toEqual(['--svg']);
  });

  test.skipIf(!has(shell))('values that can be counted are completed', () => {
    expect(complete[shell](['godwit', 'guest', '--workload', 'z'])).toEqual(['zipf']);
  });
});

describe.each(['bash', 'zsh', 'fish'] as const)('in %s', (shell) => {
  test.skipIf(!has(shell))('arguments that can be counted are completed', () => {
    expect(complete[shell](['godwit', 'completion', 'z'])).toEqual(['zsh']);
    expect(complete[shell](['godwit', 'completion', 'f'])).toEqual(['fish']);
  });
});

test('every command and every option is in every script', () => {
  const option = (shell: string, flag: string): string =>
    shell === 'fish' ? `-l ${flag.slice(2)}` : flag;
  for (const [shell, script] of Object.entries(scripts)) {
    const all = [tree, ...tree.commands, ...tree.commands.flatMap(({ commands }) => commands)];
    for (const node of all) {
      expect(script).toContain(node.name);
      for (const { flags } of node.options) {
        for (const flag of flags) {
          if (flag.startsWith('--')) expect(script).toContain(option(shell, flag));
        }
      }
    }
  }
});
