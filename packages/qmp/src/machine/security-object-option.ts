import type { SecurityObject } from '@godwit/core';

import { isJsonObject, type JsonObject } from '../arguments.ts';
import { QmpError } from '../errors.ts';
import { securityObject } from './security-object.ts';

/**
 * An object as QEMU's command line writes it: `TYPE,id=ID,NAME=VALUE…`, where a comma in a value is
 * written twice and a list is `NAME.0.MEMBER=VALUE`; or as JSON, what `object-add` takes.
 *
 * @throws {QmpError} as `securityObject`.
 */
export function securityObjectOption(text: string): SecurityObject {
  if (text.startsWith('{')) return securityObject(parsed(text));
  const [type = '', ...pairs] = splitOption(text);
  const args: JsonObject = { 'qom-type': type };
  for (const pair of pairs) {
    const [, path = '', value = ''] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (path === '') throw new QmpError('GenericError', `Expected 'NAME=VALUE' in '${pair}'`);
    put(args, path, isSwitch(path) ? switchValue(path, value) : value);
  }
  return securityObject(args);
}

/** @returns the parts between single commas. */
export function splitOption(text: string): readonly string[] {
  const parts = text.match(/(?:[^,]|,,)+/g) ?? [];
  return parts.map((part) => part.replaceAll(',,', ','));
}

function parsed(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch (error) {
    throw new QmpError('GenericError', `JSON parse error: ${(error as Error).message}`);
  }
  throw new QmpError('GenericError', 'Expected a JSON object');
}

/** `rules.0.match`: of the list `rules` the first item's `match`; items come in their order. */
function put(args: JsonObject, path: string, value: unknown): void {
  const [, list, index, member] = /^([^.]+)\.(\d+)\.([^.]+)$/.exec(path) ?? [];
  if (list === undefined || index === undefined || member === undefined) {
    args[path] = value;
    return;
  }
  const items = (args[list] ??= []);
  if (!Array.isArray(items) || Number(index) > items.length) {
    throw new QmpError('GenericError', `Parameter '${path}': items of a list count from 0`);
  }
  const item = ((items as JsonObject[])[Number(index)] ??= {});
  item[member] = value;
}

function isSwitch(name: string): boolean {
  return name === 'verify-peer' || name === 'sanity-check';
}

function switchValue(name: string, value: string): boolean {
  if (['on', 'yes', 'true', 'y'].includes(value)) return true;
  if (['off', 'no', 'false', 'n'].includes(value)) return false;
  throw new QmpError('GenericError', `Parameter '${name}' expects 'on' or 'off'`);
}
