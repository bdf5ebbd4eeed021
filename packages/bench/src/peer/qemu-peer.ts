import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { memoryKind, type MigrateBenchOptions } from '../migrate/options.ts';
import { bootImage, type PeerWorkload } from './boot-sector.ts';
import { measureQemu } from './measure-qemu.ts';
import type { PeerDescription, PeerRun } from './peer-runs.ts';
import { qemuArguments, type QemuPlan } from './qemu-arguments.ts';
import { untilFilled } from './qemu-guest.ts';
import { QemuProcess } from './qemu-process.ts';
import type { PeerVariant } from './variants.ts';

/** What all QEMUs of a benchmark share. */
export interface PeerStage {
  readonly options: MigrateBenchOptions;
  /** `findLauncher`. */
  readonly launcher: readonly string[];
  readonly command: string;
  readonly version: string;
  /** Of our own, for sockets and images. */
  readonly directory: string;
  readonly limitMillis: number;
  readonly signal: AbortSignal;
}

/**
 * QEMU with a guest of ours. As with our own side, one source serves all runs, which no real source
 * may do; each destination is new.
 */
export class QemuPeer implements AsyncDisposable {
  readonly #stage: PeerStage;
  readonly #source: QemuProcess;
  readonly #ticksPerMicro: number;
  readonly description: PeerDescription;
  #destinationCount = 0;

  /** @returns once the guest has filled its memory; it is stopped. */
  static async start(stage: PeerStage): Promise<QemuPeer> {
    const { memoryBytes, workload, rate } = stage.options;
    // `checkPeerOptions` has refused the others.
    const plan = { memoryBytes, workload: workload as PeerWorkload, rate };
    await writeFile(imagePath(stage), bootImage(plan));
    const source = await startQemu(stage, 'source', { preallocate: false, incoming: false });
    try {
      const ticksPerMicro = await untilFilled(source, stage.directory);
      await source.execute('stop');
      const { enabled } = await source.execute<{ enabled: boolean }>('query-kvm');
      return new QemuPeer(stage, source, ticksPerMicro, enabled ? 'kvm' : 'tcg');
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    stage: PeerStage,
    source: QemuProcess,
    ticksPerMicro: number,
    accelerator: 'kvm' | 'tcg',
  ) {
    const { command, version } = stage;
    this.#stage = stage;
    this.#source = source;
    this.#ticksPerMicro = ticksPerMicro;
    this.description = { type: 'qemu', command, version, accelerator };
  }

  /** One migration into a new QEMU. */
  async measure(variant: PeerVariant): Promise<PeerRun> {
    const name = `destination-${this.#destinationCount++}`;
    const isFresh = memoryKind(this.#stage.options) === 'fresh';
    await using destination = await startQemu(this.#stage, name, {
      preallocate: !isFresh,
      incoming: true,
    });
    return await measureQemu({
      options: this.#stage.options,
      variant,
      source: this.#source,
      destination,
      directory: this.#stage.directory,
      socketName: `${name}-pages`,
      ticksPerMicro: this.#ticksPerMicro,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}

function imagePath({ directory }: PeerStage): string {
  return join(directory, 'guest.img');
}

async function startQemu(
  stage: PeerStage,
  name: string,
  kind: Pick<QemuPlan, 'preallocate' | 'incoming'>,
): Promise<QemuProcess> {
  const { launcher, command, directory, limitMillis, signal, options } = stage;
  const monitor = join(directory, `${name}-qmp`);
  const { memoryBytes } = options;
  const args = qemuArguments({ ...kind, memoryBytes, image: imagePath(stage), monitor });
  return await QemuProcess.start({ name, launcher, command, args, monitor, limitMillis, signal });
}
