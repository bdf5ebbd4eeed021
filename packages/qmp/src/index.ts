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
  type EventTable,
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
export type { SchemaInfo } from './introspection.ts';
export { machineCommands } from './machine/machine-commands.ts';
export { machineEvents } from './machine/machine-events.ts';
export type { MachineGuest, VerifyResult } from './machine/machine-guest.ts';
export {
  Machine,
  type MachineEvents,
  type MachineOptions,
  type RunState,
  STOP_LIMIT_MILLIS,
} from './machine/machine.ts';
export type { Migrations } from './machine/migrations.ts';
export type { MigrationInfo } from './machine/migrations-owner.ts';
export { securityObjectOption, splitOption } from './machine/security-object-option.ts';
export { QmpServer, type QmpServerOptions } from './server.ts';
