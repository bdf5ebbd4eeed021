/** How many different pages are written in how much time; from 0, each point later and not lower. */
export type DirtyCurve = readonly { readonly millis: number; readonly pages: number }[];

/** What a migration would start from. */
export interface PlanInput {
  readonly pageBytes: number;
  readonly totalPages: number;
  /** That exist, and of these the ones that are zero, which cost next to nothing. */
  readonly presentPages: number;
  readonly zeroPages: number;
  readonly curve: DirtyCurve;
  /** Bytes per second while the guest runs at the source. */
  readonly bandwidth: number;
  /** The same for the last pages, of a stopped guest; nobody limits them but the link. */
  readonly switchoverBandwidth: number;
  /** `avail-switchover-bandwidth`: what the engine counts on for them; 0: what it has measured before. */
  readonly availBandwidth: number;
  readonly postcopyBandwidth: number;
  /** What a destination places by fault, whatever the limits. */
  readonly placedBandwidth: number;
  readonly downtimeLimitMillis: number;
  readonly roundTripMillis: number;
  /** Where what the link carries is known from. */
  readonly linkFrom: 'measured' | 'told' | 'assumed';
}

export interface Forecast {
  /** Dirty syncs, as query-migrate counts them: the last one finds a stopped guest. */
  readonly passes: number;
  readonly bytes: number;
  readonly totalMillis: number;
  readonly downtimeMillis: number;
}

export interface PrecopyForecast extends Forecast {
  /** False: passes do not shrink below what the downtime limit allows; the figures end where it shows. */
  readonly converges: boolean;
}

export interface PostcopyForecast extends Forecast {
  /** Still at the source when the guest begins to run at the destination. */
  readonly missingPages: number;
}

export interface Plan {
  readonly precopy: PrecopyForecast;
  readonly postcopy: PostcopyForecast;
  readonly use: 'precopy' | 'postcopy';
  readonly why: string;
}

/** Stopping the vCPUs, device state, the commit; measured between two processes of one host. */
const BASE_DOWNTIME_MILLIS = 8;
/** Threads that start, the handshake, the first dirty sync, the proof at the end. */
const BASE_TOTAL_MILLIS = 250;
/** As in every postcopy: one when tracking begins, two of what is stale, one of the stopped guest. */
const POSTCOPY_PASSES = 4;
/** Round trips with the guest stopped: loaded, running. */
const DOWNTIME_ROUND_TRIPS = 2;
const TOTAL_ROUND_TRIPS = 8;

/** As the engine's precopy has them: packages/core/src/migration/precopy.ts. */
const FEW_PAGES = 256;
const SHRINKS_TO = 0.7;
const FURTHER_PASSES_MAX = 8;

/**
 * Pages that are asked for are exempt from max-postcopy-bandwidth, and so are the neighbours that are sent
 * along. A guest that sweeps through its memory had more than 80 000 a second on two processors of an EPYC; one
 * that touches pages at random has its faults alone.
 */
const REQUESTED_PER_SECOND_MAX = 50_000;

/** A pass that leaves this much of what the one before left has as good as not shrunk. */
const STALLS_AT = 0.98;
const PASSES_MAX = 60;
/** More of the guest's memory than this is sent for nothing: not worth it. */
const WASTE_MAX = 4;

/** A pure function: what would come of either way, and which to take. */
export function predict(input: PlanInput): Plan {
  const precopy = predictPrecopy(input);
  const postcopy = predictPostcopy(input);
  return { precopy, postcopy, ...choose(input, precopy, postcopy) };
}

/**
 * Between the points in straight lines; after the last one as between the last two, but never more than
 * there are pages.
 */
export function dirtyPages(curve: DirtyCurve, millis: number, totalPages: number): number {
  let [before, last] = [
    { millis: 0, pages: 0 },
    { millis: 0, pages: 0 },
  ];
  for (const point of curve) {
    [before, last] = [last, point];
    if (point.millis >= millis) break;
  }
  const span = last.millis - before.millis;
  const slope = span > 0 ? (last.pages - before.pages) / span : 0;
  const pages = before.pages + slope * (millis - before.millis);
  return Math.min(totalPages, Math.max(0, pages));
}

function predictPrecopy(input: PlanInput): PrecopyForecast {
  const { pageBytes, bandwidth, availBandwidth, downtimeLimitMillis, curve, totalPages } = input;
  const fits = ((availBandwidth || bandwidth) / 1000) * downtimeLimitMillis;
  let sending = contentPages(input);
  let [bytes, millis, before, furtherPasses] = [0, 0, Infinity, 0];
  for (let pass = 1; ; pass += 1) {
    const passMillis = ((sending * pageBytes) / bandwidth) * 1000;
    bytes += sending * pageBytes;
    millis += passMillis;
    const written = dirtyPages(curve, passMillis, totalPages);
    const isSmall = written * pageBytes <= fits;
    const pays = written > FEW_PAGES && written < before * SHRINKS_TO;
    const converges = isSmall && (!pays || furtherPasses === FURTHER_PASSES_MAX);
    const stalls = !isSmall && (written >= before * STALLS_AT || pass === PASSES_MAX);
    if (converges || stalls) {
      const downtimeMillis = downtime(input, written);
      return {
        converges,
        passes: pass + 1,
        bytes: bytes + written * pageBytes,
        totalMillis: millis + downtimeMillis + BASE_TOTAL_MILLIS + trips(input, TOTAL_ROUND_TRIPS),
        downtimeMillis,
      };
    }
    if (isSmall) furtherPasses += 1;
    before = written;
    sending = written;
  }
}

/** Switched over at once, as `godwit migrate --postcopy` does: no page is sent twice. */
function predictPostcopy(input: PlanInput): PostcopyForecast {
  const { pageBytes, postcopyBandwidth, switchoverBandwidth, placedBandwidth } = input;
  const missingPages = contentPages(input);
  const bytes = missingPages * pageBytes;
  const downtimeMillis = downtime(input, 0);
  const requested = requestedPerSecond(input) * pageBytes;
  const most = Math.min(switchoverBandwidth, placedBandwidth);
  const rate = Math.min(most, postcopyBandwidth + requested);
  const base = BASE_TOTAL_MILLIS + trips(input, TOTAL_ROUND_TRIPS);
  return {
    passes: POSTCOPY_PASSES,
    bytes,
    totalMillis: (bytes / rate) * 1000 + downtimeMillis + base,
    downtimeMillis,
    missingPages,
  };
}

/** A guest asks for pages as fast as it touches new ones; we know of those that it writes. */
function requestedPerSecond({ curve }: PlanInput): number {
  const [first] = curve;
  if (first === undefined || first.millis <= 0) return 0;
  return Math.min((first.pages / first.millis) * 1000, REQUESTED_PER_SECOND_MAX);
}

function choose(
  input: PlanInput,
  precopy: PrecopyForecast,
  postcopy: PostcopyForecast,
): Pick<Plan, 'use' | 'why'> {
  const limit = `the downtime limit of ${input.downtimeLimitMillis} ms`;
  if (!precopy.converges) {
    const why = `precopy never comes below ${limit}: the guest writes pages faster than they leave`;
    const { downtimeMillis } = precopy;
    // The engine judges by what it has measured, under a max-bandwidth that the last pages do not have.
    const isMisjudged = downtimeMillis <= input.downtimeLimitMillis && input.availBandwidth === 0;
    const remedy = '; set avail-switchover-bandwidth to what the link carries, and it would';
    return { use: 'postcopy', why: isMisjudged ? `${why}${remedy}` : why };
  }
  if (precopy.bytes > WASTE_MAX * Math.max(postcopy.bytes, input.pageBytes * FEW_PAGES)) {
    const times = (precopy.bytes / postcopy.bytes).toFixed(1);
    return { use: 'postcopy', why: `precopy would send the guest's memory ${times} times over` };
  }
  const why = `passes shrink below ${limit}, and until the switchover a lost link costs nothing`;
  return { use: 'precopy', why };
}

function contentPages({ presentPages, zeroPages }: PlanInput): number {
  return Math.max(0, presentPages - zeroPages);
}

function downtime(input: PlanInput, pages: number): number {
  const transfer = ((pages * input.pageBytes) / input.switchoverBandwidth) * 1000;
  return BASE_DOWNTIME_MILLIS + trips(input, DOWNTIME_ROUND_TRIPS) + transfer;
}

function trips({ roundTripMillis }: PlanInput, count: number): number {
  return roundTripMillis * count;
}
