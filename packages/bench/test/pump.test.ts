import fc from 'fast-check';
import { expect, test } from 'vitest';

import { sharesOf } from '../src/side/pump.ts';

test('the shares of a pump are the whole memory, each byte once, and none is empty', () => {
  const pages = fc.integer({ min: 4096, max: 2 ** 22 }); // 16 MiB to 16 GiB
  fc.assert(
    fc.property(pages, fc.integer({ min: 1, max: 16 }), (count, streams) => {
      const byteLength = count * 4096;
      const shares = sharesOf({ address: 4096, byteLength }, streams);
      expect(shares).toHaveLength(streams);
      let next = 4096;
      for (const share of shares) {
        expect(share.address).toBe(next);
        expect(share.byteLength).toBeGreaterThan(0);
        next += share.byteLength;
      }
      expect(next).toBe(4096 + byteLength);
      const sizes = shares.map((share) => share.byteLength);
      expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(2 ** 21);
    }),
  );
});
