import { formatBytes, formatMillis, formatRate, formatShare } from '../figures.ts';
import {
  type ArrivedFigures,
  figuresOf,
  type SentFigures,
  type WhyFigures,
} from './why-figures.ts';
import type { WhySample } from './why-sample.ts';

/** What a migration may be held up by. */
export const limits = {
  'bandwidth-cap': 'it is as fast as its bandwidth limit allows',
  'dirty-rate': 'the guest writes about as fast as its memory is sent',
  link: 'the link takes no more',
  cpu: 'the source has no more processor time to send with',
  'destination-cpu': 'the destination has no more processor time to place pages with',
  faults: 'the guest waits for pages that it asked for',
  paused: 'the link was lost: both sides wait for a recovery',
  operator: 'it waits for an operator',
  peer: 'it waits for the other side',
  'not-running': 'no migration is under way',
  nothing: 'nothing holds it up',
} as const;

export type Limit = keyof typeof limits;

export interface Finding {
  readonly limit: Limit;
  /** What shows it, with figures. */
  readonly evidence: readonly string[];
  /** What would help; a command where there is one. */
  readonly advice?: string;
}

export interface Verdict {
  /** Of the first finding. */
  readonly limit: Limit;
  readonly status: string;
  /** The one that matters most first; never empty. */
  readonly findings: readonly [Finding, ...Finding[]];
  readonly figures: WhyFigures;
}

/** A sender sleeps for so much of its time, or sends so much of what it may: the cap is what holds it. */
const PACED_SHARE_MIN = 0.3;
const NEAR_CAP = 0.9;
/** So much of what is sent is dirty again: passes shrink too slowly to end soon. */
const DIRTY_SHARE_MIN = 0.7;
const CPU_SHARE_MIN = 0.75;
/** No processor idles, and the sender gets some of their time and does not sleep: it wants more. */
const HOST_BUSY_MIN = 0.95;
const STARVED_SHARE_MIN = 0.15;
const BLOCKED_SHARE_MIN = 0.4;
/** Of a vCPU's time; and what tells it where only the source can be asked. */
const WAITED_SHARE_MIN = 0.3;
const REQUESTS_PER_SECOND_MIN = 100;
/** With so much of what is sent asked for, the bulk comes second. */
const URGENT_SHARE_MIN = 0.5;

/** Two looks at a migration, some time apart, to what holds it up. Pure. */
export function whyOf(before: WhySample, after: WhySample): Verdict {
  const figures = figuresOf(before, after);
  const [first = nothing(figures), ...more] = findingsOf(figures, after);
  return { limit: first.limit, status: figures.status, findings: [first, ...more], figures };
}

function findingsOf(figures: WhyFigures, after: WhySample): Finding[] {
  const { status } = figures;
  const side = after.source ?? after.destination;
  const reason = side?.migrate['error-desc'];
  const because = reason === undefined ? [] : [reason];
  const address = after.source?.qmp ?? 'SOURCE';
  switch (status) {
    case 'none':
    case 'completed':
    case 'cancelled':
    case 'failed':
      return [{ limit: 'not-running', evidence: [`the migration is: ${status}`, ...because] }];
    case 'pre-switchover':
      return [
        {
          limit: 'operator',
          evidence: ['all but the last pages are sent, and the guest is stopped or about to be'],
          advice: `godwit qmp --qmp ${address} migrate-continue '{"state": "pre-switchover"}'`,
        },
      ];
    case 'postcopy-paused':
      return [
        { limit: 'paused', evidence: because, advice: `godwit recover --qmp ${address} URI` },
      ];
    case 'active':
    case 'postcopy-active':
      return flowFindings(figures);
    default:
      return [{ limit: 'peer', evidence: [`the migration is: ${status}`, ...because] }];
  }
}

/** Of a migration in which pages flow, or should. */
function flowFindings(figures: WhyFigures): Finding[] {
  const { sent, arrived } = figures;
  const speed = [
    ...(sent === undefined ? [] : capFinding(sent)),
    ...(sent === undefined ? [] : cpuFinding(sent, figures)),
    ...destinationFinding(sent, arrived),
    ...(sent === undefined ? [] : linkFinding(sent, figures)),
  ];
  const faults = faultFinding(sent, arrived);
  const isUrgent = (sent?.urgentShare ?? 1) >= URGENT_SHARE_MIN;
  // Faster pages end a postcopy; what decides whether a precopy ends at all comes before its speed.
  const inOrder = isUrgent ? [...faults, ...speed] : [...speed, ...faults];
  return [...(sent === undefined ? [] : dirtyFinding(sent)), ...inOrder];
}

function dirtyFinding({ dirty, pagesPerSecond, bytesPerSecond }: SentFigures): Finding[] {
  if (dirty === undefined || dirty.pagesPerSecond === 0) return [];
  const share = dirty.pagesPerSecond / Math.max(1, pagesPerSecond);
  if (share < DIRTY_SHARE_MIN) return [];
  const { expectedDowntimeMillis: expected, downtimeLimitMillis: limit } = dirty;
  return [
    {
      limit: 'dirty-rate',
      evidence: [
        `the guest writes ${Math.round(dirty.pagesPerSecond)} pages/s (${formatRate(dirty.bytesPerSecond)}), ` +
          `${Math.round(pagesPerSecond)} pages/s are sent (${formatRate(bytesPerSecond)})`,
        `a pass leaves ${Math.round(share * 100)} % of what it sends`,
        `stopped now, the guest would stand still for ${formatMillis(expected)}; the limit is ${formatMillis(limit)}`,
      ],
      advice:
        'switch to postcopy (migrate-start-postcopy), or raise max-bandwidth or downtime-limit',
    },
  ];
}

function capFinding(sent: SentFigures): Finding[] {
  const { bandwidthCap: cap, bytesPerSecond, pacedShare } = sent;
  if (cap === 0) return [];
  if (pacedShare < PACED_SHARE_MIN && bytesPerSecond < cap * NEAR_CAP) return [];
  return [
    {
      limit: 'bandwidth-cap',
      evidence: [
        `${formatRate(bytesPerSecond)} of at most ${formatRate(cap)}`,
        `the sender sleeps ${formatShare(pacedShare)} of its time as the limit asks`,
        etaText(sent),
      ],
      advice: 'raise max-bandwidth (in postcopy: max-postcopy-bandwidth); 0 is no limit',
    },
  ];
}

function cpuFinding(sent: SentFigures, figures: WhyFigures): Finding[] {
  const { cpuShare } = sent;
  const { hostBusyShare: busy = 0 } = figures;
  if (cpuShare < CPU_SHARE_MIN && !isStarved(sent, figures)) return [];
  return [
    {
      limit: 'cpu',
      evidence: [
        `the sender computes ${formatShare(cpuShare)} of its time`,
        ...(busy > 0 ? [`the processors of this host are ${formatShare(busy)} busy`] : []),
        `${formatRate(sent.bytesPerSecond)}; ${etaText(sent)}`,
      ],
      advice:
        'more page channels (capability multifd) where processors are idle; else fewer neighbours',
    },
  ];
}

function isStarved(sent: SentFigures, { hostBusyShare = 0 }: WhyFigures): boolean {
  if (hostBusyShare < HOST_BUSY_MIN || sent.pacedShare >= PACED_SHARE_MIN) return false;
  return sent.cpuShare >= STARVED_SHARE_MIN;
}

function destinationFinding(
  sent: SentFigures | undefined,
  arrived: ArrivedFigures | undefined,
): Finding[] {
  if (arrived === undefined || arrived.cpuShare < CPU_SHARE_MIN) return [];
  // A receiver that is busy and yet keeps up holds nobody up.
  if (sent !== undefined && sent.pacedShare >= PACED_SHARE_MIN) return [];
  return [
    {
      limit: 'destination-cpu',
      evidence: [`the receiver computes ${formatShare(arrived.cpuShare)} of its time`],
      advice: 'more page channels (capability multifd), or memory that is there already',
    },
  ];
}

function linkFinding(sent: SentFigures, figures: WhyFigures): Finding[] {
  const { arrived } = figures;
  const { blockedShare, bytesPerSecond, remainingBytes, pacedShare } = sent;
  if (blockedShare < BLOCKED_SHARE_MIN || remainingBytes === 0) return [];
  if (arrived !== undefined && arrived.cpuShare >= CPU_SHARE_MIN) return [];
  if (isStarved(sent, figures)) return []; // then it waits for a processor in its writes
  const unknown =
    arrived === undefined ? ['or the destination: a second --qmp tells them apart'] : [];
  return [
    {
      limit: 'link',
      evidence: [
        bytesPerSecond === 0
          ? 'nothing has left for as long as we looked'
          : `the sender waits ${formatShare(blockedShare)} of its time for room in the socket`,
        `${formatRate(bytesPerSecond)}, asleep for the bandwidth limit ${formatShare(pacedShare)}`,
        ...(arrived === undefined
          ? []
          : [`the receiver computes ${formatShare(arrived.cpuShare)} of its time`]),
        ...unknown,
        etaText(sent),
      ],
      advice:
        'a faster link; page channels (capability multifd) where one connection does not fill it',
    },
  ];
}

function faultFinding(
  sent: SentFigures | undefined,
  arrived: ArrivedFigures | undefined,
): Finding[] {
  const waits = (arrived?.waitedShare ?? 0) >= WAITED_SHARE_MIN;
  const asks = (sent?.requestsPerSecond ?? 0) >= REQUESTS_PER_SECOND_MIN;
  if (!waits && !asks) return [];
  const seen =
    arrived === undefined
      ? [`${Math.round(sent?.requestsPerSecond ?? 0)} pages/s are asked for`]
      : [
          `${Math.round(arrived.faultsPerSecond)} faults/s; a page takes ${formatMillis(arrived.latencyP50Millis)}` +
            ` (p99 ${formatMillis(arrived.latencyP99Millis)})`,
          `vCPUs have waited ${Math.round(arrived.waitedShare * 100)} % of one processor's time`,
        ];
  const urgent =
    sent === undefined ? [] : [`${formatShare(sent.urgentShare)} of what is sent was asked for`];
  return [
    {
      limit: 'faults',
      evidence: [...seen, ...urgent],
      advice: 'it ends as pages arrive; a larger max-postcopy-bandwidth ends it sooner',
    },
  ];
}

function nothing({ sent, arrived }: WhyFigures): Finding {
  const unasked =
    sent === undefined ? ['the source was not asked: give its --qmp'] : [etaText(sent)];
  const busy =
    sent === undefined
      ? []
      : [
          `the sender computes ${formatShare(sent.cpuShare)}, sleeps ${formatShare(sent.pacedShare)} and waits ` +
            `for the link ${formatShare(sent.blockedShare)} of its time`,
        ];
  const receiver =
    arrived === undefined
      ? []
      : [`the receiver computes ${formatShare(arrived.cpuShare)} of its time`];
  return { limit: 'nothing', evidence: [...busy, ...receiver, ...unasked] };
}

function etaText({ remainingBytes, bytesPerSecond }: SentFigures): string {
  const left = `${formatBytes(remainingBytes)} left`;
  if (bytesPerSecond === 0 || remainingBytes === 0) return left;
  return `${left}: ${formatMillis((remainingBytes / bytesPerSecond) * 1000)} at this speed`;
}
