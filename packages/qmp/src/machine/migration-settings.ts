import {
  type Capabilities,
  capabilityDefaults,
  changeCapabilities,
  changeParameters,
  parameterDefaults,
  type Parameters,
  type SecurityObjects,
} from '@godwit/core';
import type { DialSecurity, ListenSecurity } from '@godwit/transport';

interface SettingsOwner {
  /** @throws {QmpError} a migration holds them as they are. */
  readonly refuseCapabilities: () => void;
  /** They have changed, for a running migration as well. */
  readonly onParameters: (parameters: Parameters) => void;
}

/** Capabilities and parameters: what the next migration is begun with; all or none of a change is made. */
export class MigrationSettings {
  /** What `tls-creds` and `tls-authz` may name. */
  readonly security: SecurityObjects;
  readonly #owner: SettingsOwner;
  #capabilities: Capabilities = capabilityDefaults;
  #parameters: Parameters = parameterDefaults;

  constructor(security: SecurityObjects, owner: SettingsOwner) {
    this.security = security;
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

  /** @throws {ChannelError} `ERR_CREDENTIALS`: no connection could be made as the parameters ask. */
  forDialling(): DialSecurity | undefined {
    const { 'tls-creds': credsId, 'tls-hostname': hostname } = this.#parameters;
    return this.security.forDialling({ credsId, hostname });
  }

  /** @throws {ChannelError} as `forDialling`. */
  forListening(): ListenSecurity | undefined {
    const { 'tls-creds': credsId, 'tls-authz': authzId } = this.#parameters;
    return this.security.forListening({ credsId, authzId });
  }

  /** Takes effect at once, in a running migration too. */
  changeParameters(changes: Readonly<Record<string, unknown>>): void {
    this.#parameters = changeParameters(this.#parameters, changes);
    this.#owner.onParameters(this.#parameters);
  }
}
