import { assertNever } from '@godwit/transport';

import {
  formatBytes,
  formatClock,
  formatMillis,
  formatRate,
  formatShare,
  plural,
} from '../figures.ts';
import { progressBar } from '../progress-bar.ts';
import type { GuestReport } from './guest-report.ts';

const NAME_WIDTH = 16;
const BAR_WIDTH = 10;

/** One line for each guest, and the sum; what a terminal shows over and over. */
export function tableLines(guests: readonly GuestReport[], columns: number): string[] {
  const rows = guests.map((guest) => {
    const moving = guest.phase === 'moving' || guest.phase === 'recovering';
    return [
      guest.name.slice(0, NAME_WIDTH).padEnd(NAME_WIDTH),
      stateWord(guest).padEnd(20),
      moving ? progress(guest) : ' '.repeat(BAR_WIDTH + 6),
      (guest.bytesSent === undefined ? '' : formatBytes(guest.bytesSent)).padStart(9),
      (moving ? formatRate(guest.bytesPerSecond ?? 0) : '').padStart(10),
    ].join(' ');
  });
  const rate = guests.reduce((sum, guest) => {
    return sum + (guest.phase === 'moving' ? (guest.bytesPerSecond ?? 0) : 0);
  }, 0);
  const sum = `${countLine(guests)}, ${formatRate(rate)} now`;
  return [...rows, '', sum].map((line) => line.slice(0, columns));
}

/** When something about a guest has changed; the same words do not come twice in a row. */
export function changeLine(guest: GuestReport, millis: number): string {
  const clock = formatClock(millis).padStart(9);
  const where = guest.to === undefined ? '' : ` → ${guest.to}`;
  const why = guest.reason === undefined ? '' : `: ${guest.reason}`;
  return `${clock}  ${guest.name}  ${stateWord(guest)}${where}${why}`;
}

/** What has become of each guest. */
export function resultLines(guests: readonly GuestReport[]): string[] {
  return [...guests.map(resultLine), countLine(guests)];
}

function resultLine(guest: GuestReport): string {
  const { name, from, to = '?', uri = 'URI', reason = 'no reason given' } = guest;
  switch (guest.phase) {
    case 'moved':
      return `${name}: moved to ${to}${cost(guest)}`;
    case 'left':
      return guest.owner === 'destination'
        ? `${name}: not here, ${reason}`
        : `${name}: left running at ${from}: ${reason}`;
    case 'paused':
      return (
        `${name}: runs at ${to} without all of its pages, postcopy-paused: ${reason}; ` +
        `to go on: godwit recover --qmp ${from} ${uri}`
      );
    case 'unknown':
      return `${name}: ${ownerWords(guest)}: ${reason}`;
    case 'waiting':
      return `${name}: runs at ${from}, not begun`;
    case 'backing-off':
      return `${name}: runs at ${from}, after a failed attempt: ${reason}`;
    case 'moving':
    case 'recovering':
      return (
        `${name}: ${guest.status ?? 'beginning'}, ${ownerWords(guest)}; ` +
        `to see it: godwit status --qmp ${from}`
      );
    default:
      return assertNever(guest.phase);
  }
}

function ownerWords({ owner, from, to = '?' }: GuestReport): string {
  switch (owner) {
    case 'source':
      return `owned by ${from}`;
    case 'destination':
      return `owned by ${to}`;
    case 'switching-over':
      return `switching over from ${from} to ${to}`;
    case 'unknown':
      return `nobody here knows who owns it; ask ${from} and ${to}`;
    default:
      return assertNever(owner);
  }
}

function countLine(guests: readonly GuestReport[]): string {
  const count = (phase: GuestReport['phase']): number =>
    guests.filter((guest) => guest.phase === phase).length;
  const moved = `${count('moved')} of ${plural(guests.length, 'guest')} moved`;
  const others = (['left', 'paused', 'unknown'] as const)
    .filter((phase) => count(phase) > 0)
    .map((phase) => `${count(phase)} ${phase}`);
  return [moved, ...others].join(', ');
}

function cost({ bytesSent, totalMillis, downtimeMicros }: GuestReport): string {
  const parts = [
    bytesSent === undefined ? [] : [`${formatBytes(bytesSent)} sent`],
    totalMillis === undefined ? [] : [`in ${formatMillis(totalMillis)}`],
    downtimeMicros === undefined ? [] : [`downtime ${formatMillis(downtimeMicros / 1000)}`],
  ].flat();
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

function stateWord({ phase, status }: GuestReport): string {
  return phase === 'moving' ? (status ?? 'setup') : phase;
}

function progress({ bytesRemaining = 0, bytesTotal = 0 }: GuestReport): string {
  const share = bytesTotal === 0 ? 0 : 1 - bytesRemaining / bytesTotal;
  return `${progressBar(share, BAR_WIDTH)} ${formatShare(share).padStart(5)}`;
}
