import { QmpError } from './errors.ts';

/** What one argument may be. `size` counts bytes or anything else below zero makes no sense for. */
export type ArgumentSpec = { readonly optional?: true } & (
  | { readonly type: 'bool' | 'int' | 'size' | 'number' | 'any' }
  /** With `values`, an enumeration. */
  | { readonly type: 'str'; readonly values?: readonly string[] }
  /** Without `members`, any object. */
  | { readonly type: 'object'; readonly members?: ArgumentsSchema }
  | { readonly type: 'list'; readonly of: ArgumentSpec }
);

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

type ValueOf<Spec extends ArgumentSpec> = Spec extends { type: 'bool' }
  ? boolean
  : Spec extends { type: 'int' | 'size' | 'number' }
    ? number
    : Spec extends { type: 'str'; values: readonly (infer Value)[] }
      ? Value
      : Spec extends { type: 'str' }
        ? string
        : Spec extends { type: 'object'; members: infer Members extends ArgumentsSchema }
          ? ArgumentsOf<Members>
          : Spec extends { type: 'object' }
            ? JsonObject
            : Spec extends { type: 'list'; of: infer Of extends ArgumentSpec }
              ? readonly ValueOf<Of>[]
              : unknown;

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
      if (spec.values !== undefined && !spec.values.includes(value)) {
        throw refuse(`Parameter '${name}' does not accept value '${value}'`);
      }
      return;
    case 'object':
      if (!isJsonObject(value)) throw wrongType(name, 'object');
      if (spec.members !== undefined) checkMembers(spec.members, value, `${name}.`);
      return;
    case 'list':
      if (!Array.isArray(value)) throw wrongType(name, 'array');
      value.forEach((item: unknown, index) => checkValue(spec.of, item, `${name}[${index}]`));
      return;
    default:
      return unknownType(spec);
  }
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
