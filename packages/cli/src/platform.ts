import type { Command } from 'commander';

/** Before anything is begun: a guest's memory is the kernel's affair, and the kernel has to be Linux. */
export function needLinux(command: Command): Command {
  return command.hook('preAction', (_, begun) => {
    if (process.platform === 'linux') return;
    throw new Error(otherThanLinux(wordsOf(begun), process.platform));
  });
}

/** `godwit bench migrate` */
function wordsOf(command: Command): string {
  const name = command.name();
  return command.parent === null ? name : `${wordsOf(command.parent)} ${name}`;
}

function otherThanLinux(name: string, platform: NodeJS.Platform): string {
  return (
    `${name} needs Linux, and this is ${platform}: run it on a Linux host, in a virtual machine or in ` +
    'a container; commands that only speak QMP (migrate, status, plan, …) work from here'
  );
}
