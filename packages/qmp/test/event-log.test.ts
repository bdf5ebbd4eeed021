import { expect, test } from 'vitest';

import { EventLog } from '../src/event-log.ts';
import type { QmpEvent } from '../src/messages.ts';

function logOf(count: number, lengthMax: number): EventLog {
  const log = new EventLog(lengthMax);
  for (let index = 0; index < count; index += 1) log.append(event(`E${index}`));
  return log;
}

function event(name: string): QmpEvent {
  return { timestamp: { seconds: 0, microseconds: 0 }, event: name };
}

test('an event keeps its position while older ones are forgotten', () => {
  const log = logOf(5, 3);
  expect([log.begin, log.end]).toEqual([2, 5]);
  expect(log.at(1)).toBeUndefined();
  expect(log.at(2)?.event).toBe('E2');
  expect(log.at(4)?.event).toBe('E4');
  expect(log.at(5)).toBeUndefined();
});

test('find starts where it is told, or with the oldest event there is', () => {
  const log = logOf(5, 3);
  expect(log.find(0, () => true)).toBe(2);
  expect(log.find(3, () => true)).toBe(3);
  expect(log.find(3, ({ event: name }) => name === 'E2')).toBeUndefined();
  expect(log.find(5, () => true)).toBeUndefined();
});
