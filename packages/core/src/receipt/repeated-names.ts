/**
 * Does an object of this text say a name twice? JSON.parse takes the last, others the first, and who reads
 * the file sees both: a signature holds for one of them alone.
 *
 * @param text JSON.
 */
export function repeatsName(text: string): boolean {
  const outsideStrings = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '');
  return outsideStrings.split(':').length - 1 !== countMembers(JSON.parse(text));
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const values = Object.values(value);
  const own = Array.isArray(value) ? 0 : values.length;
  return values.reduce<number>((sum, member) => sum + countMembers(member), own);
}
