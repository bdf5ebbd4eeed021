export { Deferred, Journal, LIMIT_MILLIS, within } from '@godwit/chaos';
