import { allCommands, type CommandNode, quoted } from './command-tree.ts';

/** A script for zsh, to source or to put into a file of $fpath. */
export function zshCompletion(root: CommandNode): string {
  const commands = allCommands(root);
  const below = commands.slice(1).map(({ path }) => quoted(path));
  return `#compdef ${root.name}
# zsh completion of ${root.name}: source <(${root.name} completion zsh)
_${root.name}() {
  local at=${root.name} index
  local -a items
  for ((index = 2; index < CURRENT; index++)); do
    case "$at $words[index]" in
      ${below.join(' | ')}) at="$at $words[index]" ;;
    esac
  done
  case "$at $words[CURRENT - 1]" in
${commands.flatMap(valueCases).join('\n')}
  esac
  case "$at" in
${commands.map(itemsCase).join('\n')}
  esac
  _describe ${quoted(root.name)} items
}
if [[ $funcstack[1] == _${root.name} ]]; then _${root.name} "$@"; else compdef _${root.name} ${root.name}; fi
`;
}

function valueCases({ path, options }: CommandNode): string[] {
  return options
    .filter(({ takesValue }) => takesValue)
    .map(({ flags, choices }) => {
      const patterns = flags.map((flag) => quoted(`${path} ${flag}`)).join(' | ');
      const from = choices.length === 0 ? '_files' : `compadd -- ${choices.map(quoted).join(' ')}`;
      return `    ${patterns}) ${from}; return ;;`;
    });
}

/** `_describe` takes `word:what it is`. */
function itemsCase({ path, commands, choices, options }: CommandNode): string {
  const items = [
    ...commands.map(({ name, description }) => [name, description]),
    ...choices.map((choice) => [choice, 'argument']),
    ...options.flatMap(({ flags, description }) => flags.map((flag) => [flag, description])),
  ];
  const told = items.map(([word = '', text = '']) =>
    quoted(`${word.replaceAll(':', String.raw`\:`)}:${text}`),
  );
  return `    ${quoted(path)}) items=(${told.join(' ')}) ;;`;
}
