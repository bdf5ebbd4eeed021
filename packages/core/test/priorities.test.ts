import * as os from 'node:os';
import { threadId } from '@godwit/posix';
import { expect, test, vi } from 'vitest';
import { yieldToGuest } from '../src/threads/priorities.ts';

vi.mock('node:os', { spy: true });

test('a host that lets no thread step back is asked once, and the thread goes on', () => {
  const refusal = Object.assign(new Error('EPERM'), { code: 'ERR_SYSTEM_ERROR' });
  vi.mocked(os.getPriority).mockReturnValue(17);
  const setPriority = vi.mocked(os.setPriority).mockImplementation(() => {
    throw refusal;
  });
  yieldToGuest();
  yieldToGuest();
  expect(setPriority.mock.calls).toEqual([[threadId(), 19]]);
});
