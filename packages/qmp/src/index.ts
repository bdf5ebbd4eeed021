export {
  type ArgumentsOf,
  type ArgumentSpec,
  type ArgumentsSchema,
  checkArguments,
  isJsonObject,
  type JsonObject,
} from './arguments.ts';
export {
  CONNECT_TIMEOUT_MILLIS,
  type ConnectOptions,
  EXECUTE_TIMEOUT_MILLIS,
  type ExecuteOptions,
  QmpClient,
  type QmpClientEvents,
  type WaitForEventOptions,
} from './client.ts';
export {
  type ClientHandle,
  type Command,
  type CommandContext,
  type CommandTable,
  defineCommand,
  type ServerHandle,
} from './command-table.ts';
export { type WaitOptions } from './deadline.ts';
export {
  QmpError,
  type QmpErrorClass,
  qmpErrorClasses,
  QmpSocketError,
  qmpSocketErrorCodes,
} from './errors.ts';
export { type QmpEvent, type QmpGreeting, type QmpVersion } from './messages.ts';
export { QmpServer, type QmpServerOptions } from './server.ts';
