export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [name: string]: Json };

/** Whether a message has what is shown of it; numbers are numbers, whichever. */
export function isLike(shown: Json, actual: Json | undefined): boolean {
  if (actual === undefined) return false;
  if (typeof shown === 'number') return typeof actual === 'number';
  if (Array.isArray(shown)) {
    if (!Array.isArray(actual) || actual.length !== shown.length) return false;
    return shown.every((item, i) => isLike(item as Json, actual[i] as Json));
  }
  if (!isObject(shown)) return shown === actual;
  if (!isObject(actual)) return false;
  return Object.entries(shown).every(([name, member]) => isLike(member, actual[name]));
}

/** What is shown of a message, with the values that it has. */
export function project(shown: Json, actual: Json): Json {
  if (Array.isArray(shown) && Array.isArray(actual)) {
    return shown.map((item, i) => project(item as Json, actual[i] as Json));
  }
  if (!isObject(shown) || !isObject(actual)) return actual;
  const names = Object.keys(shown);
  return Object.fromEntries(
    names.map((name) => [name, project(shown[name] as Json, actual[name] as Json)]),
  );
}

/** Whether two lines say the same but for figures, units and bars. */
export function isLineLike(shown: string, actual: string): boolean {
  return withoutFigures(shown) === withoutFigures(actual);
}

function withoutFigures(line: string): string {
  return line
    .replaceAll(/[█▏▎▍▌▋▊▉░]+/g, '=')
    .replaceAll(/\d[\d.,]*( ?([kKMGT]i?)?B(\/s)?| ?[µmn]?s| ?%)?/g, '#')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

function isObject(value: Json): value is { readonly [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
