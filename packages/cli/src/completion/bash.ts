import { allCommands, type CommandNode, quoted, words } from './command-tree.ts';

/** A script for bash to source. Values without choices are completed as file names. */
export function bashCompletion(root: CommandNode): string {
  const commands = allCommands(root);
  const below = commands.slice(1).map(({ path }) => quoted(path));
  return `# bash completion of ${root.name}: source <(${root.name} completion bash)
_${root.name}() {
  local at=${root.name} current="\${COMP_WORDS[COMP_CWORD]}" index words=''
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$at \${COMP_WORDS[index]}" in
      ${below.join(' | ')}) at="$at \${COMP_WORDS[index]}" ;;
    esac
  done
  case "$at \${COMP_WORDS[COMP_CWORD - 1]}" in
${commands.flatMap(valueCases).join('\n')}
  esac
  case "$at" in
${commands.map((node) => `    ${quoted(node.path)}) words=${quoted(words(node).join(' '))} ;;`).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -F _${root.name} ${root.name}
`;
}

function valueCases({ path, options }: CommandNode): string[] {
  return options
    .filter(({ takesValue }) => takesValue)
    .map(({ flags, choices }) => {
      const patterns = flags.map((flag) => quoted(`${path} ${flag}`)).join(' | ');
      const from = choices.length === 0 ? '-f' : `-W ${quoted(choices.join(' '))}`;
      return `    ${patterns}) COMPREPLY=($(compgen ${from} -- "$current")); return ;;`;
    });
}
