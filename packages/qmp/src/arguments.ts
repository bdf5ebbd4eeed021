import { QmpError } from './errors.ts';

/**
 * What a value may be: an argument, a result or a member of either. Arguments are checked against it;
 * query-qmp-schema tells both.
 */
export type ArgumentSpec = { readonly optional?: true } & (
  | {
      /** `size` counts bytes or anything else below zero makes no sense for. */
      readonly type: 'bool' | 'int' | 'size' | 'number' | 'any';
    }
  /** QEMU has it, we do not: refused by name, and query-qmp-schema does not tell it. */
  | { readonly type: 'unsupported' }
  /** With `values`, an enumeration; `unsupported` are those of QEMU's that are refused by name. */
  | {
      readonly type: 'str';
      readonly values?: readonly string[];
      readonly unsupported?: readonly string[];
    }
  | { readonly type: 'list'; readonly of: ArgumentSpec }
  | ObjectSpec
);

export type ObjectSpec =
  /** Without `members`, any object. */
  | { readonly type: 'object'; readonly members?: ArgumentsSchema }
  /** An object whose member `tag` says which further members it has. */
  | {
      readonly type: 'union';
      readonly tag: string;
      readonly common?: ArgumentsSchema;
      readonly variants: Readonly<Record<string, ObjectSpec>>;
      /** Tags of QEMU's that are refused by name. */
      readonly unsupported?: readonly string[];
    };

export interface ArgumentsSchema {
  readonly [name: string]: ArgumentSpec;
}

export type JsonObject = Record<string, unknown>;

/** The type of arguments that have passed {@link checkArguments}. */
export type ArgumentsOf<Schema extends ArgumentsSchema> = {
  readonly [
    Name in keyof Schema as Schema[Name] extends { optional: true } ? never : Name
  ]: ValueOf<Schema[Name]>;
} & {
  readonly [
    Name in keyof Schema as Schema[Name] extends { optional: true } ? Name : never
  ]?: ValueOf<Schema[Name]>;
};

export type ValueOf<Spec extends ArgumentSpec> = Spec extends { type: 'bool' }
  ? boolean
  : Spec extends { type: 'int' | 'size' | 'number' }
    ? number
    : Spec extends { type: 'str'; values: readonly (infer Value)[] }
      ? Value
      : Spec extends { type: 'str' }
        ? string
        : Spec extends { type: 'unsupported' }
          ? undefined
          : Spec extends { type: 'list'; of: infer Of extends ArgumentSpec }
            ? readonly ValueOf<Of>[]
            : Spec extends ObjectSpec
              ? ObjectOf<Spec>
              : unknown;

type ObjectOf<Spec extends ObjectSpec> = Spec extends {
  type: 'object';
  members: infer Members extends ArgumentsSchema;
}
  ? ArgumentsOf<Members>
  : Spec extends {
        type: 'union';
        tag: infer Tag extends string;
        variants: infer Variants extends Readonly<Record<string, ObjectSpec>>;
      }
    ? {
        [Case in keyof Variants]: { readonly [Name in Tag]: Case } & ObjectOf<Variants[Case]>;
      }[keyof Variants]
    : JsonObject;

/**
 * Refuses what the schema does not know, with QEMU's texts and its names for members further in:
 * `channels[0].addr`. Numbers beyond 2^53 are refused (they would arrive rounded), and so are
 * negative sizes, which QEMU takes for huge ones.
 *
 * @throws {QmpError} GenericError.
 * @see QEMU qapi/qobject-input-visitor.c
 */
export function checkArguments(schema: ArgumentsSchema, values: JsonObject): void {
  checkMembers(schema, values, '');
}

function checkMembers(schema: ArgumentsSchema, values: JsonObject, prefix: string): void {
  for (const [name, spec] of Object.entries(schema)) {
    if (Object.hasOwn(values, name)) checkValue(spec, values[name], prefix + name);
    else if (spec.optional !== true) throw refuse(`Parameter '${prefix}${name}' is missing`);
  }
  for (const name of Object.keys(values)) {
    // hasOwn: 'constructor' and '__proto__' are names like any other, and unknown.
    if (!Object.hasOwn(schema, name)) throw refuse(`Parameter '${prefix}${name}' is unexpected`);
  }
}

function checkValue(spec: ArgumentSpec, value: unknown, name: string): void {
  switch (spec.type) {
    case 'any':
      return;
    case 'unsupported':
      throw refuse(`Parameter '${name}' is not supported`);
    case 'bool':
      if (typeof value !== 'boolean') throw wrongType(name, 'boolean');
      return;
    case 'int':
      if (!Number.isSafeInteger(value)) throw wrongType(name, 'integer');
      return;
    case 'size':
      if (!Number.isSafeInteger(value) || Number(value) < 0) {
        throw refuse(`Parameter '${name}' expects uint64`);
      }
      return;
    case 'number':
      // JSON.parse makes 1e999 infinite.
      if (!Number.isFinite(value)) throw wrongType(name, 'number');
      return;
    case 'str':
      if (typeof value !== 'string') throw wrongType(name, 'string');
      if (spec.values !== undefined) checkEnum(spec.values, spec.unsupported, value, name);
      return;
    case 'object':
    case 'union': {
      if (!isJsonObject(value)) throw wrongType(name, 'object');
      const members = membersOf(spec, value, `${name}.`);
      if (members !== undefined) checkMembers(members, value, `${name}.`);
      return;
    }
    case 'list':
      if (!Array.isArray(value)) throw wrongType(name, 'array');
      value.forEach((item: unknown, index) => checkValue(spec.of, item, `${name}[${index}]`));
      return;
    default:
      return unknownType(spec);
  }
}

/** @returns the members that this very object may have; nothing where it may have any. */
function membersOf(
  spec: ObjectSpec,
  value: JsonObject,
  prefix: string,
): ArgumentsSchema | undefined {
  if (spec.type === 'object') return spec.members;
  const { tag, common, variants, unsupported } = spec;
  const name = prefix + tag;
  if (!Object.hasOwn(value, tag)) throw refuse(`Parameter '${name}' is missing`);
  const chosen = value[tag];
  if (typeof chosen !== 'string') throw wrongType(name, 'string');
  checkEnum(Object.keys(variants), unsupported, chosen, name);
  const variant = variants[chosen];
  const own = variant === undefined ? {} : (membersOf(variant, value, prefix) ?? {});
  return { [tag]: { type: 'str' }, ...common, ...own };
}

function checkEnum(
  values: readonly string[],
  unsupported: readonly string[] | undefined,
  value: string,
  name: string,
): void {
  if (values.includes(value)) return;
  if (unsupported?.includes(value) === true) {
    const instead = values.map((it) => `'${it}'`).join(' or ');
    throw refuse(`Parameter '${name}': '${value}' is not supported, use ${instead}`);
  }
  throw refuse(`Parameter '${name}' does not accept value '${value}'`);
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrongType(name: string, expected: string): QmpError {
  return refuse(`Invalid parameter type for '${name}', expected: ${expected}`);
}

function refuse(desc: string): QmpError {
  return new QmpError('GenericError', desc);
}

function unknownType(spec: never): never {
  throw new TypeError(`no such argument type: ${JSON.stringify(spec)}`);
}
