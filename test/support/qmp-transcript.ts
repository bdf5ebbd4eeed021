import assert from 'node:assert/strict';

/** One line of an example in docs/QMP.md. */
export interface TranscriptLine {
  /** In the document, counted from 1. */
  readonly line: number;
  readonly guest: 'A' | 'B';
  readonly direction: 'sent' | 'received';
  readonly message: unknown;
  /** Before it the guests are started anew. */
  readonly isFresh: boolean;
}

/**
 * The examples of a document: fenced blocks of `qmp`, a line each: `A -> JSON` is sent to A, `A <- JSON` comes
 * from it. A block of `qmp fresh` begins with new guests.
 */
export function readTranscript(document: string): TranscriptLine[] {
  const lines: TranscriptLine[] = [];
  let inExample = false;
  let isFresh = false;
  for (const [i, text] of document.split('\n').entries()) {
    if (text.startsWith('```')) {
      inExample = !inExample && text.startsWith('```qmp');
      isFresh ||= inExample && text === '```qmp fresh';
      continue;
    }
    if (!inExample) continue;
    const [, guest, arrow, json = ''] = /^([AB]) (->|<-) (.*)$/.exec(text) ?? [];
    assert(guest === 'A' || guest === 'B', `line ${i + 1} is no line of an example: ${text}`);
    const direction = arrow === '->' ? 'sent' : 'received';
    lines.push({ line: i + 1, guest, direction, message: JSON.parse(json), isFresh });
    isFresh = false;
  }
  return lines;
}

export function isEvent(message: unknown): message is { event: string } {
  return typeof message === 'object' && message !== null && Object.hasOwn(message, 'event');
}

/**
 * Whether a message is as the example shows it. Numbers are examples: any will do. `…` ends what is
 * shown of a text, an array or (as a member) an object; all else must be there, and nothing more.
 *
 * @returns where it differs, or nothing.
 */
export function difference(shown: unknown, real: unknown, where = 'message'): string | undefined {
  const differs = `${where}: ${JSON.stringify(real)} instead of ${JSON.stringify(shown)}`;
  if (typeof shown === 'number') return typeof real === 'number' ? undefined : differs;
  if (typeof shown === 'string') return isText(shown, real) ? undefined : differs;
  if (Array.isArray(shown)) return arrayDifference(shown, real, where);
  if (typeof shown !== 'object' || shown === null) return shown === real ? undefined : differs;
  if (typeof real !== 'object' || real === null) return differs;
  return objectDifference(shown as JsonMap, real as JsonMap, where);
}

type JsonMap = Readonly<Record<string, unknown>>;

const MORE = '…';

function isText(shown: string, real: unknown): boolean {
  if (typeof real !== 'string') return false;
  return shown.endsWith(MORE) ? real.startsWith(shown.slice(0, -1).trimEnd()) : real === shown;
}

function arrayDifference(
  shown: readonly unknown[],
  real: unknown,
  where: string,
): string | undefined {
  if (!Array.isArray(real)) return `${where}: no array`;
  const isOpen = shown.at(-1) === MORE;
  const items = isOpen ? shown.slice(0, -1) : shown;
  if (isOpen ? real.length < items.length : real.length !== items.length) {
    return `${where}: ${real.length} items`;
  }
  for (const [i, item] of items.entries()) {
    const found = difference(item, real[i], `${where}[${i}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function objectDifference(shown: JsonMap, real: JsonMap, where: string): string | undefined {
  const isOpen = Object.hasOwn(shown, MORE);
  for (const [name, member] of Object.entries(shown)) {
    if (name === MORE) continue;
    if (!Object.hasOwn(real, name)) return `${where}.${name} is missing`;
    const found = difference(member, real[name], `${where}.${name}`);
    if (found !== undefined) return found;
  }
  const more = Object.keys(real).filter((name) => !Object.hasOwn(shown, name));
  return isOpen || more.length === 0 ? undefined : `${where} has ${more.join(', ')} as well`;
}
