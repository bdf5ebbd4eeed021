export type AuthzPolicy = 'deny' | 'allow';

/** Of QEMU's `authz-list`; its first rule that matches decides. */
export interface AuthzRule {
  readonly match: string;
  readonly policy: AuthzPolicy;
  /** `glob`: `*` stands for any characters, `?` for any one. */
  readonly format: 'exact' | 'glob';
}

export interface AuthzList {
  /** Where no rule matches. */
  readonly policy: AuthzPolicy;
  readonly rules: readonly AuthzRule[];
}

export function isAllowed({ policy, rules }: AuthzList, identity: string): boolean {
  const rule = rules.find(({ match, format }) => {
    return format === 'exact' ? match === identity : isLike(match, identity);
  });
  return (rule?.policy ?? policy) === 'allow';
}

/** Not by a regular expression: time is that of both lengths multiplied, whatever name a peer has. */
function isLike(pattern: string, text: string): boolean {
  const wanted = Array.from(pattern); // characters, not halves of them
  const found = Array.from(text);
  let [at, star, resume] = [0, -1, 0];
  for (let i = 0; i < found.length;) {
    if (wanted[at] === '*') {
      [star, resume] = [at, i];
      at += 1;
    } else if (at < wanted.length && (wanted[at] === '?' || wanted[at] === found[i])) {
      at += 1;
      i += 1;
    } else if (star >= 0) {
      resume += 1; // the last star takes one more
      [at, i] = [star + 1, resume];
    } else {
      return false;
    }
  }
  return wanted.slice(at).every((it) => it === '*');
}
