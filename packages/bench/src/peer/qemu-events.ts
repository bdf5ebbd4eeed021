import type { QmpEvent } from '@godwit/qmp';

/** Of the wall clock, which all processes share. */
export function eventMillis({ timestamp }: QmpEvent): number {
  return timestamp.seconds * 1000 + timestamp.microseconds / 1000;
}

export function isNamed(name: string): (event: QmpEvent) => boolean {
  return ({ event }) => event === name;
}

/** The migration has come to one of these states. */
export function isStatus(...statuses: readonly string[]): (event: QmpEvent) => boolean {
  return ({ event, data }) => event === 'MIGRATION' && statuses.includes(String(data?.['status']));
}
