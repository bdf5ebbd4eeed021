import type { Direction, Random } from '@godwit/chaos';
import type { Role } from '@godwit/transport';
import { type TamperKind, tamperKinds } from './tamper.ts';

/** Where a peer turns hostile, and how; the numbers are the kind's to use. */
export interface Tamper {
  readonly direction: Direction;
  readonly role: Role;
  /** Which frame of its direction and role on this link, from 0. */
  readonly at: number;
  readonly kind: TamperKind;
  readonly a: number;
  readonly b: number;
}

/** One link of a migration; the ones after the first are recoveries. */
export interface LinkPlan {
  readonly tampers: readonly Tamper[];
  /** Connections of somebody who knows no secret, before the link. */
  readonly strangers: readonly number[];
  /** Links of somebody who knows it, before the link: recorded frames, tampered with, sent at once. */
  readonly blasts: readonly Blast[];
}

export interface Blast {
  readonly frames: readonly {
    readonly pick: number;
    readonly kind: TamperKind;
    readonly a: number;
    readonly b: number;
  }[];
}

export const flavours = ['precopy', 'postcopy', 'shared', 'multifd'] as const;
/** `shared`: postcopy without the urgent channel; `multifd` compresses. */
export type Flavour = (typeof flavours)[number];

/** One migration from its beginning to its end: all that is random about it. */
export interface Plan {
  readonly flavour: Flavour;
  readonly portable: boolean;
  readonly links: readonly LinkPlan[];
}

const LINKS_MAX = 5;
const TAMPERS_MAX = 3;
/** About as many as a small migration has on its main channel. */
const FRAMES_ON_MAIN = 28;
const FRAMES_ELSEWHERE = 6;
const kinds = Object.keys(tamperKinds) as TamperKind[];

/** Nobody is hostile. */
export function cleanPlan(flavour: Flavour): Plan {
  return { flavour, portable: false, links: [] };
}

export function newPlan(random: Random): Plan {
  const flavour = random.pick([...flavours, 'postcopy', 'postcopy'] as const);
  const links = Array.from({ length: random.between(1, LINKS_MAX + 1) }, () => newLink(random));
  return { flavour, portable: random.chance(0.25), links };
}

/** A plan that led somewhere new, and one step further. */
export function furtherPlan(plan: Plan, random: Random): Plan {
  const links = [...plan.links];
  const index = random.between(0, links.length + 1);
  const { tampers, ...rest } = links[index] ?? newLink(random);
  links[index] = { ...rest, tampers: [...tampers, newTamper(random)].slice(-TAMPERS_MAX) };
  return { ...plan, links: links.slice(0, LINKS_MAX) };
}

function newLink(random: Random): LinkPlan {
  const tampers = Array.from({ length: random.between(1, TAMPERS_MAX) }, () => newTamper(random));
  const strangers = random.chance(0.2) ? [random.between(0, 2 ** 32)] : [];
  const blasts = Array.from({ length: random.chance(0.5) ? random.between(1, 4) : 0 }, () =>
    newBlast(random),
  );
  return { tampers, strangers, blasts };
}

function newTamper(random: Random): Tamper {
  const role = random.pick(['main', 'main', 'main', 'main', 'urgent', 'page'] as const);
  const below = role === 'main' ? FRAMES_ON_MAIN : FRAMES_ELSEWHERE;
  return {
    direction: role !== 'main' || random.chance(0.65) ? 'to-destination' : 'to-source',
    role,
    at: Math.floor(below * random.next() ** 1.5), // what comes early comes for certain
    kind: random.pick(kinds),
    a: random.between(0, 2 ** 32),
    b: random.between(0, 2 ** 32),
  };
}

function newBlast(random: Random): Blast {
  const frames = Array.from({ length: random.between(1, 6) }, () => ({
    pick: random.between(0, 2 ** 32),
    kind: random.pick(kinds),
    a: random.between(0, 2 ** 32),
    b: random.between(0, 2 ** 32),
  }));
  return { frames };
}
