import type { ArgumentsSchema, ArgumentSpec, ObjectSpec } from './arguments.ts';
import type { Command, CommandTable, EventTable } from './command-table.ts';

/** One entity of query-qmp-schema: a command, an event or a type. */
export type SchemaInfo = { readonly name: string } & (
  | {
      readonly 'meta-type': 'command';
      readonly 'arg-type': string;
      readonly 'ret-type': string;
      readonly 'allow-oob'?: true;
    }
  | { readonly 'meta-type': 'event'; readonly 'arg-type': string }
  | { readonly 'meta-type': 'builtin'; readonly 'json-type': string }
  | {
      readonly 'meta-type': 'enum';
      readonly members: readonly { readonly name: string }[];
      /** The same; clients older than QEMU 6.2 know only this. */
      readonly values: readonly string[];
    }
  | { readonly 'meta-type': 'array'; readonly 'element-type': string }
  | ({ readonly 'meta-type': 'object' } & ObjectInfo)
);

interface ObjectInfo {
  readonly members: readonly MemberInfo[];
  readonly tag?: string;
  readonly variants?: readonly { readonly case: string; readonly type: string }[];
}

interface MemberInfo {
  readonly name: string;
  readonly type: string;
  /** There, the member may be missing. */
  readonly default?: null;
}

/**
 * What query-qmp-schema answers, made from the very schemas that arguments are checked against. Names of
 * types mean nothing, as in QEMU: clients start from a command and follow them.
 *
 * @see QEMU qapi/introspect.json, scripts/qapi/introspect.py.
 */
export function introspect(commands: CommandTable, events: EventTable): SchemaInfo[] {
  const types = new TypeNames();
  const commandInfos = Object.entries(commands).map(([name, command]) => {
    return commandInfo(name, command, types);
  });
  const eventInfos = Object.entries(events).map(([name, data]): SchemaInfo => {
    return { name, 'meta-type': 'event', 'arg-type': types.ofMembers(data) };
  });
  return [...commandInfos, ...eventInfos, ...types.infos()];
}

function commandInfo(name: string, command: Command, types: TypeNames): SchemaInfo {
  const { arguments: args = {}, returns, oob = false } = command;
  return {
    name,
    'meta-type': 'command',
    'arg-type': types.ofMembers(args),
    'ret-type': returns === undefined ? types.ofMembers({}) : types.of(returns),
    ...(oob ? { 'allow-oob': true } : {}),
  };
}

/** QEMU's names for what JSON has by itself; all whole numbers are one type. */
const builtins = {
  bool: ['bool', 'boolean'],
  int: ['int', 'int'],
  size: ['int', 'int'],
  number: ['number', 'number'],
  str: ['str', 'string'],
  any: ['any', 'value'],
} as const;

/** Gives each type a name, the same to types that look the same. */
class TypeNames {
  /** By name. */
  readonly #infos = new Map<string, SchemaInfo>();
  /** By what the type looks like. */
  readonly #names = new Map<string, string>();

  infos(): SchemaInfo[] {
    return [...this.#infos.values()];
  }

  of(spec: ArgumentSpec): string {
    switch (spec.type) {
      case 'list': {
        const element = this.of(spec.of);
        const name = `[${element}]`;
        this.#infos.set(name, { name, 'meta-type': 'array', 'element-type': element });
        return name;
      }
      case 'str':
        return spec.values === undefined ? this.#builtin('str') : this.#enum(spec.values);
      case 'object':
        return spec.members === undefined ? this.#builtin('any') : this.ofMembers(spec.members);
      case 'union':
        return this.#union(spec);
      case 'unsupported':
        throw new TypeError('what is not supported has no type');
      default:
        return this.#builtin(spec.type);
    }
  }

  /** An object with these. */
  ofMembers(members: ArgumentsSchema): string {
    return this.#object({ members: this.#members(members) });
  }

  #union(spec: ObjectSpec & { type: 'union' }): string {
    const { tag, common = {}, variants } = spec;
    const tagMember = { name: tag, type: this.#enum(Object.keys(variants)) };
    return this.#object({
      members: [tagMember, ...this.#members(common)],
      tag,
      variants: Object.entries(variants).map(([name, variant]) => {
        return { case: name, type: this.of(variant) };
      }),
    });
  }

  #members(members: ArgumentsSchema): MemberInfo[] {
    return Object.entries(members)
      .filter(([, spec]) => spec.type !== 'unsupported')
      .map(([name, spec]) => {
        const type = this.of(spec);
        return spec.optional === true ? { name, type, default: null } : { name, type };
      });
  }

  #object(info: ObjectInfo): string {
    return this.#masked(info, (name) => ({ name, 'meta-type': 'object', ...info }));
  }

  #enum(values: readonly string[]): string {
    const members = values.map((name) => ({ name }));
    return this.#masked(values, (name) => ({ name, 'meta-type': 'enum', members, values }));
  }

  #builtin(type: keyof typeof builtins): string {
    const [name, jsonType] = builtins[type];
    this.#infos.set(name, { name, 'meta-type': 'builtin', 'json-type': jsonType });
    return name;
  }

  #masked(look: unknown, info: (name: string) => SchemaInfo): string {
    const key = JSON.stringify(look);
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = String(this.#names.size);
    this.#names.set(key, name);
    this.#infos.set(name, info(name));
    return name;
  }
}

/** Of query-qmp-schema itself. */
export const schemaInfoList = {
  type: 'list',
  of: {
    type: 'union',
    tag: 'meta-type',
    common: { name: { type: 'str' } },
    variants: {
      builtin: { type: 'object', members: { 'json-type': { type: 'str' } } },
      enum: {
        type: 'object',
        members: {
          members: { type: 'list', of: { type: 'object', members: { name: { type: 'str' } } } },
          values: { type: 'list', of: { type: 'str' } },
        },
      },
      array: { type: 'object', members: { 'element-type': { type: 'str' } } },
      object: {
        type: 'object',
        members: {
          members: {
            type: 'list',
            of: {
              type: 'object',
              members: {
                name: { type: 'str' },
                type: { type: 'str' },
                default: { type: 'any', optional: true },
              },
            },
          },
          tag: { type: 'str', optional: true },
          variants: {
            type: 'list',
            optional: true,
            of: { type: 'object', members: { case: { type: 'str' }, type: { type: 'str' } } },
          },
        },
      },
      command: {
        type: 'object',
        members: {
          'arg-type': { type: 'str' },
          'ret-type': { type: 'str' },
          'allow-oob': { type: 'bool', optional: true },
        },
      },
      event: { type: 'object', members: { 'arg-type': { type: 'str' } } },
    },
  },
} as const satisfies ArgumentSpec;
