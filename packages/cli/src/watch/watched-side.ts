import type { PageMap, Parameters } from '@godwit/core';
import { type ExecuteOptions, type QmpClient, QmpError, QmpSocketError } from '@godwit/qmp';

import { messageOf } from '../errors.ts';
import { type MigrateInfo, queryMigrate, queryStatus, type RunInfo } from '../migrate-info.ts';
import { type QmpDial, qmpDialler, type QmpOptions } from '../qmp-option.ts';

/** One process, as its QMP shows it; what it does not tell is absent. */
export interface SideView {
  /** Where it answers QMP. */
  readonly qmp: string;
  readonly name: string;
  readonly run: RunInfo;
  readonly migrate: MigrateInfo;
  readonly parameters: Partial<Parameters>;
  readonly pageMap?: PageMap;
  /** Why nothing new is heard of it any more; the rest is what was heard last. */
  readonly lost?: string;
}

/** Keeps asking one process how it stands. */
export class WatchedSide implements AsyncDisposable {
  readonly #client: QmpClient;
  readonly #qmp: string;
  readonly #name: string;
  #view: SideView | undefined;

  /** @throws {QmpSocketError} nobody answers there. */
  static async open(qmp: string, dial: QmpDial): Promise<WatchedSide> {
    const client = await dial(qmp);
    const { name = qmp } = await optional<{ name?: string }>(client, 'query-name', {});
    return new WatchedSide(client, qmp, name);
  }

  private constructor(client: QmpClient, qmp: string, name: string) {
    this.#client = client;
    this.#qmp = qmp;
    this.#name = name;
  }

  /**
   * @param cells of the page map; 0: without one.
   * @param options.signal ends the waiting with its reason.
   * @returns how it stands; with `lost` where it cannot be asked any more.
   * @throws {QmpSocketError} it never answered at all.
   */
  async ask(cells: number, options: { readonly signal?: AbortSignal } = {}): Promise<SideView> {
    if (this.#view?.lost !== undefined) return this.#view;
    try {
      this.#view = await this.#read(cells, options);
    } catch (error) {
      if (this.#view === undefined || !(error instanceof QmpSocketError)) throw error;
      this.#view = { ...this.#view, lost: messageOf(error) };
    }
    return this.#view;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }

  async #read(cells: number, options: ExecuteOptions): Promise<SideView> {
    const client = this.#client;
    const [run, migrate, parameters, pageMap] = await Promise.all([
      queryStatus(client, options),
      queryMigrate(client, options),
      optional<Partial<Parameters>>(client, 'query-migrate-parameters', {}, options),
      cells === 0
        ? undefined
        : optional<PageMap | undefined>(client, 'x-query-page-map', undefined, options, { cells }),
    ]);
    const known = { qmp: this.#qmp, name: this.#name, run, migrate, parameters };
    return pageMap === undefined ? known : { ...known, pageMap };
  }
}

/** @throws {QmpSocketError} one of them does not answer; the others are closed. */
export async function openSides(
  options: QmpOptions,
): Promise<{ readonly sides: readonly WatchedSide[] } & AsyncDisposable> {
  const dial = await qmpDialler(options);
  const sides: WatchedSide[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(sides.map(async (side) => await side[Symbol.asyncDispose]()));
  };
  try {
    for (const qmp of options.qmp) sides.push(await WatchedSide.open(qmp, dial));
  } catch (error) {
    await close();
    throw error;
  }
  return { sides, [Symbol.asyncDispose]: close };
}

export function isDestination({ run, migrate, pageMap }: SideView): boolean {
  if (pageMap !== undefined && pageMap.side !== 'none') return pageMap.side === 'destination';
  if (migrate.ram !== undefined) return false;
  return migrate['x-ram'] !== undefined || run.status === 'inmigrate';
}

/** The two views by their parts in the migration, whichever was named first. */
export function bySide(views: readonly SideView[]): {
  readonly source?: SideView;
  readonly destination?: SideView;
} {
  const destination = views.find(isDestination);
  const source = views.find((view) => view !== destination);
  return {
    ...(source === undefined ? {} : { source }),
    ...(destination === undefined ? {} : { destination }),
  };
}

/** A command that another engine, or an older one of ours, may not have. */
async function optional<T>(
  client: QmpClient,
  command: string,
  otherwise: T,
  options?: ExecuteOptions,
  args?: Record<string, unknown>,
): Promise<T> {
  try {
    return await client.execute<T>(command, args, options);
  } catch (error) {
    if (error instanceof QmpError && error.class === 'CommandNotFound') return otherwise;
    throw error;
  }
}
