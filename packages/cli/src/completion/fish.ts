import { allCommands, type CommandNode, type OptionNode } from './command-tree.ts';

/** A script for fish, to source or to put into its folder of completions. */
export function fishCompletion(root: CommandNode): string {
  const commands = allCommands(root);
  const below = commands.slice(1).map(({ path }) => quotedForFish(path));
  return `# fish completion of ${root.name}: ${root.name} completion fish | source
function __${root.name}_at
    set -l at ${root.name}
    for word in (commandline -opc)[2..]
        switch "$at $word"
            case ${below.join(' ')}
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c ${root.name} -f
${commands.flatMap((node) => nodeLines(node, root.name)).join('\n')}
`;
}

function nodeLines({ path, commands, choices, options }: CommandNode, program: string): string[] {
  const at = `complete -c ${program} -n ${quotedForFish(`__${program}_at '${path}'`)}`;
  return [
    ...commands.map(({ name, description }) => `${at} -a ${name} -d ${quotedForFish(description)}`),
    ...choices.map((choice) => `${at} -a ${quotedForFish(choice)}`),
    ...options.map((option) => `${at}${optionText(option)}`),
  ];
}

function optionText({ flags, takesValue, choices, description }: OptionNode): string {
  const names = flags.map((flag) =>
    flag.startsWith('--') ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`,
  );
  const from = choices.length === 0 ? ' -r -F' : ` -x -a ${quotedForFish(choices.join(' '))}`;
  return `${names.join('')}${takesValue ? from : ''} -d ${quotedForFish(description)}`;
}

function quotedForFish(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
