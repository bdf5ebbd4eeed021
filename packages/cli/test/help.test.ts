import type { Command } from 'commander';
import { expect, test } from 'vitest';

import { createProgram } from '../src/program.ts';
import { EXIT_CODES } from '../src/teach.ts';

/** Every command there is, by its whole name. */
function commandsOf(command: Command, name = ''): [string, Command][] {
  const path = `${name} ${command.name()}`.trim();
  return [[path, command], ...command.commands.flatMap((child) => commandsOf(child, path))];
}

/** What `--help` prints. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
  return text;
}

const commands = commandsOf(createProgram());

test('there are the commands that the documentation names', () => {
  const names =
    'demo guest migrate recover plan evacuate status why receipt qmp doctor bench completion'.split(
      ' ',
    );
  const found = commands.map(([path]) => path);
  for (const name of names) expect(found).toContain(`godwit ${name}`);
});

test.each(commands)(
  'the help of %s begins with examples of it and ends with exit codes',
  (path, command) => {
    const help = helpOf(command);
    expect(help).toMatch(/^Examples:\n {2}# /);
    const lines = help.slice(0, help.indexOf('\nUsage:')).match(/^ {2}[^#\s].*$/gm) ?? [];
    expect(lines.length).toBeGreaterThan(0);
    const isShown = lines.some((line) => path === 'godwit' || line.includes(path));
    expect(isShown).toBe(true);
    expect(help).toContain(EXIT_CODES);
  },
);

test.each(commands)('the examples of %s use only options there are', (_path, command) => {
  const root = createProgram();
  const lines = helpOf(command).match(/^ {2}godwit .*$/gm) ?? [];
  for (const line of lines) {
    const [words] = line.trim().split(/ [|>]/);
    let at: Command = root;
    for (const word of (words ?? '').split(' ').slice(1)) {
      at = at.commands.find((child) => child.name() === word) ?? at;
      if (!word.startsWith('--')) continue;
      expect([line, at.options.map(({ long }) => long)]).toEqual([
        line,
        expect.arrayContaining([word]),
      ]);
    }
  }
});

test('every command that says something to programs has --json', () => {
  const silent = new Set(['godwit', 'godwit bench', 'godwit completion', 'godwit receipt']);
  for (const [path, command] of commands) {
    if (silent.has(path)) continue;
    expect([path, command.options.map(({ long }) => long)]).toEqual([
      path,
      expect.arrayContaining(['--json']),
    ]);
  }
});
