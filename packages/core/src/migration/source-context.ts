import { type DialSecurity, SecurityObjects } from '@godwit/transport';
import type { Capabilities } from '../capabilities.ts';
import type { Guest } from '../guest.ts';
import { HEARTBEAT_MILLIS_MIN, type Parameters } from '../parameters.ts';
import type { RecoveryNews } from './auto-recovery.ts';
import type { SourceLink } from './source-link.ts';
import type { SourceStatistics } from './source-statistics.ts';
import type { SourceThreads } from './source-threads.ts';
import type { SourceStatus, sourceTransitions, StatusMachine } from './status.ts';

/** What an outgoing migration is begun with. */
export interface SourceOptions {
  readonly capabilities: Capabilities;
  readonly parameters: Parameters;
  /** Of the guest; sent along, compared with `validate-uuid`. */
  readonly uuid?: string | undefined;
  /** What the parameters `tls-creds` and `tls-authz` name; left out, nothing is there to be named. */
  readonly security?: SecurityObjects | undefined;
}

export interface SourceEvents {
  /** Every change of status, exactly once. */
  status: [status: SourceStatus];
  /** At every dirty sync. */
  pass: [pass: number];
  /** With `x-auto-postcopy`: passes have stopped shrinking, postcopy follows; so much was dirty. */
  stall: [dirtyBytes: number];
  /** With `x-auto-recover`: what follows a lost link without anybody's doing. */
  recovery: [news: RecoveryNews];
}

/** The same, apart from the status, as whoever carries the migration out tells it. */
export interface SourceNews {
  readonly pass: () => void;
  readonly stall: (dirtyBytes: number) => void;
  readonly recovery: (news: RecoveryNews) => void;
}

/** What one is carried out with. */
export interface SourceRunParts {
  readonly guest: Guest;
  readonly options: SourceOptions;
  readonly status: StatusMachine<typeof sourceTransitions>;
  readonly tell: SourceNews;
}

/** What the steps of an outgoing migration work with. */
export interface SourceContext {
  readonly guest: Guest;
  readonly threads: SourceThreads;
  readonly link: SourceLink;
  readonly capabilities: Capabilities;
  /** As they are now: they may change at any time. */
  readonly parameters: () => Parameters;
  readonly security: SecurityObjects | undefined;
  readonly statistics: SourceStatistics;
  /** Ends the step; its reason is what the step throws. */
  readonly signal: AbortSignal;
}

/** What a migration keeps, whatever its parameters become. */
export interface PageChannels {
  /** 0 without multifd. */
  readonly count: number;
  /** How hard they compress; left out, they do not. */
  readonly zlibLevel?: number;
  /** With `x-checksum`: of all channels. */
  readonly checks: boolean;
  /** With `x-ram-digest`, where the guest may leave by postcopy: each page is summed up as it is sent. */
  readonly sums: boolean;
}

/** Milliseconds between the heartbeats that are asked for; 0: none. */
export function heartbeatMillis({ parameters }: SourceOptions): number {
  const millis = parameters['x-heartbeat-interval'];
  return millis === 0 ? 0 : Math.max(millis, HEARTBEAT_MILLIS_MIN);
}

/** The page channels that are asked for. */
export function pageChannels({ capabilities, parameters }: SourceOptions): PageChannels {
  const compresses = capabilities.multifd && parameters['multifd-compression'] === 'zlib';
  return {
    count: capabilities.multifd ? parameters['multifd-channels'] : 0,
    ...(compresses ? { zlibLevel: parameters['multifd-zlib-level'] } : {}),
    checks: capabilities['x-checksum'],
    sums: capabilities['x-ram-digest'] && capabilities['postcopy-ram'],
  };
}

/** The options of a wait for the other side's word. */
export function handshake(context: Pick<SourceContext, 'parameters' | 'signal'>): {
  timeoutMillis: number;
  signal: AbortSignal;
} {
  const timeoutMillis = context.parameters()['x-handshake-timeout'];
  return { timeoutMillis, signal: context.signal };
}

/**
 * The options of every connection that is dialled, as the parameters ask for it now.
 *
 * @throws {ChannelError} `ERR_CREDENTIALS`: it cannot be secured as they ask.
 */
export function dialling(context: Pick<SourceContext, 'parameters' | 'signal' | 'security'>): {
  timeoutMillis: number;
  signal: AbortSignal;
  security: DialSecurity | undefined;
} {
  const { 'tls-creds': credsId, 'tls-hostname': hostname } = context.parameters();
  const objects = context.security ?? new SecurityObjects();
  return { ...handshake(context), security: objects.forDialling({ credsId, hostname }) };
}
