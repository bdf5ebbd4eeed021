import { Argument, type Command } from 'commander';

import { bashCompletion } from '../completion/bash.ts';
import { commandTree } from '../completion/command-tree.ts';
import { fishCompletion } from '../completion/fish.ts';
import { zshCompletion } from '../completion/zsh.ts';
import { teach } from '../teach.ts';

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;
type Shell = keyof typeof scripts;

/** `godwit completion`: a script with which a shell completes commands, options and their values. */
export function registerCompletion(program: Command): void {
  const shell = new Argument('<shell>', 'whose').choices(Object.keys(scripts));
  const print = (name: Shell): void => {
    process.stdout.write(scripts[name](commandTree(program)));
  };
  const command = program
    .command('completion')
    .description('print a script that completes commands and options in a shell')
    .addArgument(shell)
    // Commander lets no other shell through.
    .action(print);
  teach(command, [
    [
      'bash, in this shell; for every shell put the line into ~/.bashrc',
      'source <(godwit completion bash)',
    ],
    ['zsh, likewise in ~/.zshrc, after compinit', 'source <(godwit completion zsh)'],
    ['fish, for good', 'godwit completion fish > ~/.config/fish/completions/godwit.fish'],
  ]);
}
