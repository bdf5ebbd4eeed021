import type { Command } from 'commander';

export interface OptionNode {
  /** `--qmp`, `-V`. */
  readonly flags: readonly string[];
  readonly takesValue: boolean;
  readonly choices: readonly string[];
  readonly description: string;
}

/** A command as a shell needs to know it. */
export interface CommandNode {
  /** All words from the program's name on: `godwit bench migrate`. */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionNode[];
  /** Of its first argument. */
  readonly choices: readonly string[];
  readonly commands: readonly CommandNode[];
}

/** Reads it off commander, so that completion never knows less than the program. */
export function commandTree(command: Command, parent = ''): CommandNode {
  const path = `${parent} ${command.name()}`.trim();
  const help = command.createHelp();
  return {
    path,
    name: command.name(),
    description: command.description(),
    options: help.visibleOptions(command).map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined),
      takesValue: option.required || option.optional,
      choices: option.argChoices ?? [],
      description: option.description,
    })),
    choices: command.registeredArguments[0]?.argChoices ?? [],
    // `help` is commander's own, and knows what the rest is.
    commands: command.commands.map((child) => commandTree(child, path)),
  };
}

/** The command and all below it. */
export function allCommands(node: CommandNode): CommandNode[] {
  return [node, ...node.commands.flatMap(allCommands)];
}

export function words(node: CommandNode): string[] {
  return [
    ...node.commands.map(({ name }) => name),
    ...node.choices,
    ...node.options.flatMap(({ flags }) => flags),
  ];
}

/** A word in single quotes, as bash and zsh read it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
