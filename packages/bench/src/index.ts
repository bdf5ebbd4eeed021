export { migrationChart } from './chart/migration-chart.ts';
export {
  benchMigrate,
  type MigrateBenchHooks,
  type MigrateBenchResult,
} from './migrate/bench-migrate.ts';
export {
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
