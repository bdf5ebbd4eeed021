import type { ArgumentSpec } from '../arguments.ts';

const int = { type: 'int' } as const;
const counts = { type: 'list', of: int, optional: true } as const;

/** What `x-query-page-map` answers: the engine's `PageMap`. */
export const pageMapSpec = {
  type: 'object',
  members: {
    side: { type: 'str', values: ['source', 'destination', 'none'] },
    'page-size': int,
    'pages-per-cell': int,
    blocks: {
      type: 'list',
      of: {
        type: 'object',
        members: {
          id: { type: 'str' },
          pages: int,
          dirty: counts,
          present: counts,
          received: counts,
          waiting: counts,
          faulted: counts,
        },
      },
    },
  },
} as const satisfies ArgumentSpec;
