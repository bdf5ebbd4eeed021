/** Every way a migration fails, and who holds the guest after it. */
export const migrationErrorCodes = {
  ERR_STATE: 'the command does not fit the current state; nothing changed',
  ERR_ARGUMENT: 'an argument, capability or parameter is not acceptable; nothing changed',
  ERR_SETUP: 'the migration could not begin; the guest runs on the source',
  ERR_PEER_LOST: 'the link ended before the order to run; the guest runs on the source',
  ERR_PEER_FAILED: 'the destination gave up before the order to run; the guest runs on the source',
  ERR_CANCELLED: 'cancelled before the order to run; the guest runs on the source',
  ERR_RUN_UNCONFIRMED:
    'the order to run left and was not answered; the source never runs the guest again by itself, ask the destination by recovering',
  ERR_POSTCOPY_LOST:
    'the link broke in postcopy; the guest runs on the destination, the rest of its memory is at the source',
  ERR_POSTCOPY_PAUSED_BY_USER:
    'migrate-pause in postcopy; the guest runs on the destination, the rest of its memory is at the source',
  ERR_RECOVERY: 'an attempt at recovery failed; who holds the guest has not changed',
  ERR_INCOMPLETE:
    'the destination and the source disagree about what was received; nothing was given up on either side',
  ERR_DAMAGED: 'what arrives is not what was sent, however often; the guest runs on the source',
  ERR_RAM_DIFFERS:
    'after postcopy the digests of RAM differ: the guest runs on the destination, and some page of it is not what was sent',
  ERR_PAGE_LOST:
    'the guest needs a page that is missing here, and no migration brings it any more; it must not go on',
  ERR_DISCARDED:
    "the incoming migration ended before the order to run; the guest is the source's, what arrived is discarded",
} as const;

export type MigrationErrorCode = keyof typeof migrationErrorCodes;

/** Callers match on `code`; the message is for people (QMP's error-desc). */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
  readonly code: MigrationErrorCode;

  constructor(code: MigrationErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
