import {
  type Capabilities,
  capabilityDefaults,
  changeCapabilities,
  changeParameters,
  parameterDefaults,
  type Parameters,
} from '@godwit/core';

interface SettingsOwner {
  /** @throws {QmpError} a migration holds them as they are. */
  readonly refuseCapabilities: () => void;
  /** They have changed, for a running migration as well. */
  readonly onParameters: (parameters: Parameters) => void;
}

/** Capabilities and parameters: what the next migration is begun with; all or none of a change is made. */
export class MigrationSettings {
  readonly #owner: SettingsOwner;
  #capabilities: Capabilities = capabilityDefaults;
  #parameters: Parameters = parameterDefaults;

  constructor(owner: SettingsOwner) {
    this.#owner = owner;
  }

  get capabilities(): Capabilities {
    return this.#capabilities;
  }

  get parameters(): Parameters {
    return this.#parameters;
  }

  /** That a next migration may have. */
  get pageChannels(): number {
    return this.#capabilities.multifd ? this.#parameters['multifd-channels'] : 0;
  }

  changeCapabilities(changes: readonly { capability: string; state: boolean }[]): void {
    this.#owner.refuseCapabilities();
    this.#capabilities = changeCapabilities(this.#capabilities, changes);
  }

  /** Takes effect at once, in a running migration too. */
  changeParameters(changes: Readonly<Record<string, unknown>>): void {
    this.#parameters = changeParameters(this.#parameters, changes);
    this.#owner.onParameters(this.#parameters);
  }
}
