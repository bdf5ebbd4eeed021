import type { SecurityObject } from '@godwit/core';
import { QmpClient } from '@godwit/qmp';
import { type Command, InvalidArgumentError } from 'commander';

import { objectOption, securityObjects } from './object-option.ts';
import { named as findNamed, parseQmpAddress } from './qmp-address.ts';

export interface QmpOption {
  readonly object?: readonly SecurityObject[];
  /** `unix:PATH` or `tcp:HOST:PORT`. */
  readonly qmp: string;
}

/** `--qmp A`, which every command needs that drives a process. */
export function addQmpOption(command: Command): Command {
  return command
    .requiredOption(
      '--qmp <address>',
      'where the process answers QMP: unix:PATH or tcp:HOST:PORT[,tls-creds=ID][,tls-hostname=NAME]',
      checkQmp,
    )
    .addOption(objectOption());
}

export interface QmpOptions {
  readonly object?: readonly SecurityObject[];
  /** One or two. */
  readonly qmp: readonly string[];
}

/** `--qmp A [--qmp B]`, for commands that look at both sides of a migration. */
export function addQmpOptions(command: Command, description: string): Command {
  return command
    .requiredOption('--qmp <address>', description, addAddress)
    .addOption(objectOption());
}

function addAddress(text: string, before: readonly string[] | undefined): readonly string[] {
  const addresses = [...(before ?? []), checkQmp(text)];
  if (addresses.length <= 2) return addresses;
  throw new InvalidArgumentError('a migration has two sides');
}

/** As `dial` of `qmpDialler`. */
export async function connectQmp(options: QmpOption): Promise<QmpClient> {
  const dial = await qmpDialler({ object: options.object, qmp: [options.qmp] });
  return await dial(options.qmp);
}

/** @throws {QmpSocketError} `ERR_CONNECT`, `ERR_TIMEOUT`, …: saying which address. */
export type QmpDial = (qmp: string) => Promise<QmpClient>;

/**
 * @param options.qmp all that will be dialled.
 * @throws {UsageError} an object cannot be used, or is not there.
 */
export async function qmpDialler(options: {
  readonly object?: readonly SecurityObject[] | undefined;
  readonly qmp: readonly string[];
}): Promise<QmpDial> {
  const objects = await securityObjects(options.object);
  const secured = (qmp: string): Parameters<typeof QmpClient.connect> => {
    const { address, options: named } = parseQmpAddress(qmp, clientOptions);
    const { 'tls-creds': credsId = '', 'tls-hostname': hostname = '' } = named;
    return [
      address,
      { security: findNamed(objects, (it) => it.forDialling({ credsId, hostname })) },
    ];
  };
  for (const qmp of options.qmp) secured(qmp);
  return async (qmp) => await QmpClient.connect(...secured(qmp));
}

const clientOptions = ['tls-creds', 'tls-hostname'] as const;

/** @throws {InvalidArgumentError} it is no address, or has options that a client does not know. */
export function checkQmp(text: string): string {
  parseQmpAddress(text, clientOptions);
  return text;
}

/** @returns the address alone. */
export function qmpAddressOf(qmp: string): string {
  return parseQmpAddress(qmp, clientOptions).address;
}
