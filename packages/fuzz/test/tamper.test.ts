import { Random } from '@godwit/chaos';
import { encodeControl, encodeDevice } from '@godwit/transport';
import { expect, test } from 'vitest';
import { Corpus } from '../src/corpus.ts';
import { newPlan } from '../src/plan.ts';
import { tamper, type TamperKind, tamperKinds } from '../src/tamper.ts';
import { WireCutter } from '../src/wire-cutter.ts';

const kinds = Object.keys(tamperKinds) as TamperKind[];
const control = Buffer.from(encodeControl({ t: 'run', paused: false }));
const device = Buffer.from(encodeDevice(Uint8Array.from({ length: 50 }, (_, i) => i)));
const other = Buffer.from(encodeControl({ t: 'recover' }));

function corpus(): Corpus {
  const recorded = new Corpus();
  recorded.record('to-destination', { name: 'recover', isFrame: true, bytes: other });
  return recorded;
}

test('the same seed makes the same plan, another one another', () => {
  const plan = (seed: number) => JSON.stringify(newPlan(new Random('plan', seed)));
  expect(plan(7)).toBe(plan(7));
  expect(plan(8)).not.toBe(plan(7));
});

test.each(kinds)(
  '%s: the same numbers do the same, and the frame itself stays as it was',
  (kind) => {
    for (const frame of [control, device]) {
      const before = Buffer.from(frame);
      for (let a = 0; a < 20; a += 1) {
        const [once, again] = [corpus(), corpus()].map((recorded) => {
          const { write, hold, cut } = tamper(kind, frame, { a, b: 3 }, recorded);
          return { hold, cut, bytes: Buffer.concat([...write]).toString('base64') };
        });
        expect(again).toEqual(once);
      }
      expect(frame).toEqual(before);
    }
  },
);

test.each(kinds)('%s changes something, whatever the frame', (kind) => {
  for (const frame of [control, device]) {
    const isChanged = Array.from({ length: 20 }, (_, a) => {
      const { write, cut, hold } = tamper(kind, frame, { a, b: 3 }, corpus());
      return cut === true || hold !== undefined || !Buffer.concat([...write]).equals(frame);
    });
    expect(isChanged).toContain(true);
  }
});

test('a stream is cut into the messages it was made of, however it comes', () => {
  const stream = Buffer.concat([Buffer.alloc(96), control, device, other]);
  const cutter = new WireCutter('to-destination');
  const names = Array.from(stream, (byte) => cutter.push(Uint8Array.of(byte)))
    .flat()
    .map(({ name }) => name);
  expect(names).toEqual(['hello', 'run', 'DEVICE', 'recover']);
  expect(cutter.pendingBytes).toBe(0);
});
