import { styleText } from 'node:util';

export type Ink = 'plain' | 'faint' | 'strong' | 'good' | 'busy' | 'warn' | 'bad';
export type Painter = (ink: Ink, text: string) => string;

/** A part of a line in one ink. */
export type Segment = readonly [ink: Ink, text: string];

/** @param colours whether to use any: {@link wantsColours}. */
export function painterFor(colours: boolean): Painter {
  if (!colours) return (_ink, text) => text;
  const formats = {
    faint: 'dim',
    strong: 'bold',
    good: 'green',
    busy: 'cyan',
    warn: 'yellow',
    bad: 'red',
  } as const;
  const settled = { validateStream: false }; // whether to use colours is not asked a second time
  return (ink, text) => (ink === 'plain' ? text : styleText(formats[ink], text, settled));
}

interface Output {
  readonly isTTY?: boolean;
  hasColors?(): boolean;
}

/**
 * Colours are for terminals that have them. FORCE_COLOR decides before everything else (`0` and
 * `false` say no), then NO_COLOR, if it is not empty.
 *
 * @see https://no-color.org, https://force-color.org
 */
export function wantsColours(
  output: Output,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): boolean {
  const { FORCE_COLOR: force, NO_COLOR: none = '' } = environment;
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (none !== '') return false;
  return output.isTTY === true && output.hasColors?.() === true;
}

/** Puts a line together, cut to `columns`; what is painted takes no columns. */
export function paintLine(
  segments: readonly Segment[],
  columns: number,
  paint: Painter = (_ink, text) => text,
): string {
  let left = columns;
  let line = '';
  for (const [ink, text] of segments) {
    if (left <= 0) break;
    const shown = fit(text, left);
    left -= shown.length;
    line += paint(ink, shown);
  }
  return line;
}

/** Cut to so many cells, with a sign that it was. All our texts have one cell a character. */
export function fit(text: string, cells: number): string {
  if (text.length <= cells) return text;
  return cells <= 0 ? '' : `${text.slice(0, cells - 1)}…`;
}
