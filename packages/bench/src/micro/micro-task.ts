/** Something that is done per page, per frame or per fault, to be measured on its own. */
export interface MicroTask {
  readonly name: string;
  /** One run: what the engine does `count` times, since once is below the clock. */
  readonly run: () => void;
  readonly count: number;
  /** Of what there are `count`, in the singular. */
  readonly unit: string;
  /** Memory that a run answers for, if the answer is to be told as bytes per second. */
  readonly bytes?: number;
  /** Before each run, not timed. */
  readonly before?: () => void;
  /** Exactly so many runs, where what comes before each takes long; otherwise as many as time allows. */
  readonly runs?: number;
}

/** Tasks that share memory, which is given back before the next group has its own. */
export interface MicroGroup extends Disposable {
  readonly title: string;
  readonly tasks: readonly MicroTask[];
}

export interface MicroOptions {
  /** Of the guest whose pages are looked at, a multiple of 16 MiB; as much is needed, and a little more. */
  readonly memoryBytes: number;
  /** For each task that does not count its runs. */
  readonly timeMillis: number;
}

/** @returns whatever a group needs nothing to be given back. */
export function group(
  title: string,
  tasks: readonly MicroTask[],
  release?: () => void,
): MicroGroup {
  return { title, tasks, [Symbol.dispose]: release ?? (() => undefined) };
}

/** `4 GiB`, `64 MiB` */
export function formatBytes(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return gib >= 1 ? `${Number(gib.toFixed(2))} GiB` : `${Number((bytes / 2 ** 20).toFixed(2))} MiB`;
}
