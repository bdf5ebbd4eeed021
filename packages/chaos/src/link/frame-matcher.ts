import type { Role } from '@godwit/transport';
import type { Direction, FrameName, SeenFrame } from './wire-reader.ts';

/** Which message is meant: all that is given must hold. */
export interface FrameMatcher {
  readonly frame?: FrameName | readonly FrameName[] | ((frame: SeenFrame) => boolean);
  readonly direction?: Direction;
  readonly role?: Role;
  readonly epoch?: number;
}

/** How a connection ends: `fin` lets both sides read to the end, `rst` tells them at once. */
export type CutKind = 'rst' | 'fin';

/** A matcher that fires once, at the nth match. */
export interface Trigger {
  readonly matcher: FrameMatcher;
  matchesLeft: number;
}

export function isMatch(matcher: FrameMatcher, seen: SeenFrame): boolean {
  const { frame, direction, role, epoch } = matcher;
  if (direction !== undefined && seen.direction !== direction) return false;
  if (role !== undefined && seen.connection.role !== role) return false;
  if (epoch !== undefined && seen.connection.epoch !== epoch) return false;
  if (frame === undefined) return true;
  if (typeof frame === 'function') return frame(seen);
  return typeof frame === 'string' ? seen.name === frame : frame.includes(seen.name);
}

/** @returns whether this is the match that the trigger waits for; it does not fire again. */
export function fires(trigger: Trigger, seen: SeenFrame): boolean {
  if (trigger.matchesLeft <= 0 || !isMatch(trigger.matcher, seen)) return false;
  trigger.matchesLeft -= 1;
  return trigger.matchesLeft === 0;
}

export function describeMatcher(matcher: FrameMatcher): string {
  const { frame, ...rest } = matcher;
  const name = typeof frame === 'function' ? 'a frame' : (frame ?? 'any frame').toString();
  const where = Object.values(rest).join(' ');
  return where === '' ? name : `${name} (${where})`;
}
