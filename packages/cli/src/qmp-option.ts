import { QmpClient } from '@godwit/qmp';
import { ChannelError, parseAddress } from '@godwit/transport';
import { type Command, InvalidArgumentError } from 'commander';

export interface QmpOption {
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  readonly qmp: string;
}

/** `--qmp A`, which every command needs that drives a process. */
export function addQmpOption(command: Command): Command {
  return command.requiredOption(
    '--qmp <address>',
    'where the process answers QMP: unix:PATH or tcp:HOST:PORT',
    checkAddress,
  );
}

/** @throws {QmpSocketError} `ERR_CONNECT`, `ERR_TIMEOUT`, …: saying which address. */
export async function connectQmp(options: QmpOption): Promise<QmpClient> {
  return await QmpClient.connect(options.qmp);
}

function checkAddress(text: string): string {
  try {
    parseAddress(text);
    return text;
  } catch (error) {
    if (error instanceof ChannelError) throw new InvalidArgumentError(error.message);
    throw error;
  }
}
