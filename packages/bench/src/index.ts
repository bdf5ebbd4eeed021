export { migrationChart } from './chart/migration-chart.ts';
export {
  benchMigrate,
  type MigrateBenchHooks,
  type MigrateBenchResult,
} from './migrate/bench-migrate.ts';
export {
  benchCapabilities,
  type BenchCapability,
  type BenchMode,
  type BenchPeer,
  benchPeers,
  benchModes,
  type BenchTransport,
  benchTransports,
  defaultGuest,
  type MigrateBenchOptions,
  type PeerOptions,
} from './migrate/options.ts';
export { resultLines } from './migrate/result-lines.ts';
export {
  benchScale,
  type ScaleHooks,
  type ScaleOptions,
  type ScaleResult,
  type ScaleRow,
} from './scale/bench-scale.ts';
export { scaleLines } from './scale/scale-lines.ts';
export {
  benchTargets,
  type TargetRow,
  type TargetsHooks,
  type TargetsOptions,
  type TargetsResult,
} from './targets/bench-targets.ts';
export { chooseTargets, targetSpecs } from './targets/target-specs.ts';
export type { TargetSpec } from './targets/target-spec.ts';
export { targetsLines } from './targets/targets-lines.ts';
