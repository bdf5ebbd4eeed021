import assert from 'node:assert/strict';

import type { SchemaInfo } from '../src/introspection.ts';

/**
 * Reads values by what query-qmp-schema says of them, as a client would that knows nothing else; so it
 * shares no code with what made the answer.
 */
export class SchemaWalker {
  readonly #infos = new Map<string, SchemaInfo>();

  constructor(infos: readonly SchemaInfo[]) {
    for (const info of infos) {
      assert(!this.#infos.has(info.name), `${info.name} is there twice`);
      this.#infos.set(info.name, info);
    }
  }

  /** @throws unless the command exists and this may be its result. */
  checkResult(command: string, result: unknown): void {
    const info = this.#get(command);
    assert(info['meta-type'] === 'command');
    this.#check(info['ret-type'], result, `result of ${command}`);
  }

  /** @throws unless the event exists and this may be its data. */
  checkEvent(event: string, data: unknown): void {
    const info = this.#get(event);
    assert(info['meta-type'] === 'event');
    this.#check(info['arg-type'], data, `data of ${event}`);
  }

  /** Every name that is used is there, and every type that is there is used. */
  checkClosed(): void {
    const used = new Set<string>();
    const follow = (name: string): void => {
      if (used.has(name)) return;
      used.add(name);
      for (const next of references(this.#get(name))) follow(next);
    };
    for (const [name, { 'meta-type': meta }] of this.#infos) {
      if (meta === 'command' || meta === 'event') follow(name);
    }
    assert.deepEqual(
      [...this.#infos.keys()].filter((name) => !used.has(name)),
      [],
      'never used',
    );
  }

  #get(name: string): SchemaInfo {
    const info = this.#infos.get(name);
    assert(info !== undefined, `the schema has no ${name}`);
    return info;
  }

  #check(type: string, value: unknown, where: string): void {
    const info = this.#get(type);
    switch (info['meta-type']) {
      case 'builtin':
        return assert(isJson(info['json-type'], value), `${where}: no ${info['json-type']}`);
      case 'enum':
        return assert(info.values.includes(value as string), `${where}: ${String(value)}`);
      case 'array':
        assert(Array.isArray(value), `${where}: no array`);
        for (const [i, item] of value.entries()) {
          this.#check(info['element-type'], item, `${where}[${i}]`);
        }
        return;
      case 'object': {
        assert(typeof value === 'object' && value !== null, `${where}: no object`);
        const members = this.#members(info, value as Record<string, unknown>);
        for (const [name, member] of Object.entries(value)) {
          const memberType = members.get(name);
          assert(memberType !== undefined, `${where}.${name} is not in the schema`);
          this.#check(memberType, member, `${where}.${name}`);
        }
        return;
      }
      default:
        throw new Error(`${where}: ${type} is no type`);
    }
  }

  /** @returns the types of the members that it may have; those that it must have it has. */
  #members(
    info: SchemaInfo & { 'meta-type': 'object' },
    value: Record<string, unknown>,
  ): Map<string, string> {
    const types = new Map<string, string>();
    for (const member of info.members) {
      assert(Object.hasOwn(value, member.name) || member.default === null, `no ${member.name}`);
      types.set(member.name, member.type);
    }
    const variant = info.variants?.find((it) => it.case === value[info.tag ?? '']);
    if (variant === undefined) return types;
    const own = this.#get(variant.type);
    assert(own['meta-type'] === 'object');
    for (const [name, type] of this.#members(own, value)) types.set(name, type);
    return types;
  }
}

function references(info: SchemaInfo): string[] {
  switch (info['meta-type']) {
    case 'command':
      return [info['arg-type'], info['ret-type']];
    case 'event':
      return [info['arg-type']];
    case 'array':
      return [info['element-type']];
    case 'object':
      return [...info.members, ...(info.variants ?? [])].map(({ type }) => type);
    default:
      return [];
  }
}

function isJson(jsonType: string, value: unknown): boolean {
  switch (jsonType) {
    case 'int':
      return Number.isSafeInteger(value);
    case 'value':
      return value !== undefined;
    default:
      return typeof value === jsonType;
  }
}
