/** What an attribute may be; numbers are written with as many digits as a pixel needs. */
export type Attributes = Readonly<Record<string, string | number>>;

/** An element as text. @param content markup, or text that `escapeText` has been over. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const written = Object.entries(attributes)
    .map(
      ([key, value]) => ` ${key}="${escapeText(typeof value === 'number' ? pixel(value) : value)}"`,
    )
    .join('');
  return content === '' ? `<${name}${written}/>` : `<${name}${written}>${content}</${name}>`;
}

export function text(x: number, y: number, content: string, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escapeText(content));
}

export function line(
  from: readonly [x: number, y: number],
  to: readonly [x: number, y: number],
  attributes: Attributes,
): string {
  const [[x1, y1], [x2, y2]] = [from, to];
  return element('line', { x1, y1, x2, y2, ...attributes });
}

/** Points joined by straight lines, as the `d` of a path; empty without points. */
export function pathOf(points: readonly (readonly [x: number, y: number])[]): string {
  return points
    .map(([x, y], index) => `${index === 0 ? 'M' : 'L'}${pixel(x)} ${pixel(y)}`)
    .join('');
}

export function escapeText(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

function pixel(value: number): string {
  return String(Math.round(value * 10) / 10);
}
