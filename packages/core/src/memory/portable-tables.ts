/**
 * What is known of a block in portable mode, where no kernel notices missing and written pages. One bit
 * per page in each of the first four, least significant first; shared by all threads of the process.
 *
 * | what | set by | cleared by | read by |
 * |---|---|---|---|
 * | received: the content is in place | who placed it, after the content; all of it for a guest that begins here | main thread, for a guest that is to arrive | the guest, before each access |
 * | missing: nobody has begun to place it | the main receiver, when pages begin to be missing | who places it, before the content: exactly one | placing threads |
 * | written: since the log was last asked | who stores, after the content | the dirty log, before the content is read | the dirty log |
 * | existing: ever written | the dirty log, from `written` | nobody | the dirty log |
 * | tracked: one word, 1 while a dirty log asks | the dirty log | the dirty log | another one, which is refused |
 * | served: one word, 1 while somebody brings missing pages | the main receiver | main thread | the guest, when it misses a page |
 */
export interface PortableTables {
  readonly received: SharedArrayBuffer;
  readonly missing: SharedArrayBuffer;
  readonly written: SharedArrayBuffer;
  readonly existing: SharedArrayBuffer;
  readonly tracked: SharedArrayBuffer;
  readonly served: SharedArrayBuffer;
  /** The guest says here, as a userfaultfd would, which page it waits for. Lives as long as the RAM. */
  readonly missesWriter: number;
  /** The fault thread's end of the same. */
  readonly missesReader: number;
}
