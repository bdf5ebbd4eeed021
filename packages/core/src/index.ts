export {
  type Address,
  formatAddress,
  parseAddress,
  type SecurityObject,
  SecurityObjects,
} from '@godwit/transport';
export {
  type Capabilities,
  type Capability,
  capabilityDefaults,
  changeCapabilities,
  unsupportedCapabilities,
} from './capabilities.ts';
export {
  type DirtyRate,
  DirtyRateMeasurement,
  type DirtyRateMode,
  type DirtyRateOptions,
} from './dirty-rate/dirty-rate-measurement.ts';
export { MigrationError, type MigrationErrorCode, migrationErrorCodes } from './errors.ts';
export type { Guest } from './guest.ts';
export { Blocktime } from './memory/blocktime.ts';
export { type DirtyLog, PagemapDirtyLog } from './memory/dirty-log.ts';
export { FaultLedger, type FaultVisitor } from './memory/fault-ledger.ts';
export { allocateRam, emptyRam, type GuestRam, type RamBlockSpec } from './memory/guest-ram.ts';
export { LatencyHistogram } from './memory/latency-histogram.ts';
export { viewRam } from './memory/ram-view.ts';
export { PageBitmap } from './memory/page-bitmap.ts';
export { PageContent } from './memory/page-content.ts';
export type { ChecksumInfo } from './migration/checksum-info.ts';
export type { RecoveryNews } from './migration/auto-recovery.ts';
export { trackingBlocker } from './memory/tracking-blocker.ts';
export { PortableDirtyLog } from './memory/portable-dirty-log.ts';
export type { PortableTables } from './memory/portable-tables.ts';
export { RamAccess } from './memory/ram-access.ts';
export type { MemoryMode, RamBacking, RamBlock } from './memory/ram-block.ts';
export { CrashJournal, type PausedState } from './migration/crash-journal.ts';
export { DestinationMigration } from './migration/destination.ts';
export type { DestinationOptions } from './migration/destination-options.ts';
export type {
  DestinationInfo,
  FaultInfo,
  ReceivedInfo,
  SocketAddress,
} from './migration/destination-info.ts';
export {
  type DowntimePart,
  downtimePartNames,
  type DowntimeParts,
} from './migration/downtime-parts.ts';
export { type BlockMap, PAGE_MAP_CELLS_MAX, type PageMap, pageMap } from './migration/page-map.ts';
export { SourceMigration } from './migration/source.ts';
export type { SourceEvents, SourceOptions } from './migration/source-context.ts';
export type { SourceInfo } from './migration/source-info.ts';
export type { RamInfo } from './migration/source-statistics.ts';
export type { ReceiverLoad, SenderLoad } from './migration/thread-load.ts';
export {
  type DestinationStatus,
  destinationTransitions,
  isInPostcopy,
  isPaused,
  isRunning,
  type MigrationStatus,
  type SourceStatus,
  sourceTransitions,
} from './migration/status.ts';
export { probeLink, PROBE_MILLIS_MAX, type ProbeOptions } from './probe/link-probe.ts';
export type { DirtyLook, PageCounts } from './threads/dirty-rate-api.ts';
export type { LinkSample } from './threads/probe-api.ts';
export type { SwitchoverReady } from './migration/switchover-ack.ts';
export type { Receipt } from './receipt/receipt.ts';
export { repeatsName } from './receipt/repeated-names.ts';
export {
  checkKey,
  reasonToDoubt,
  type ReceiptSignature,
  type SignedReceipt,
  signReceipt,
} from './receipt/signed-receipt.ts';
export {
  changeParameters,
  type Parameter,
  parameterDefaults,
  parameterRules,
  type Parameters,
  unsupportedParameters,
} from './parameters.ts';
