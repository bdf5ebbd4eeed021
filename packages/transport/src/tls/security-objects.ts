import { assertNever, ChannelError } from '../errors.ts';
import { type AuthzList, isAllowed } from './authz-list.ts';
import { loadPsk, loadX509, type X509Files } from './credential-files.ts';
import type { DialSecurity, ListenSecurity, TlsCredentials, TlsEndpoint } from './credentials.ts';

/** QEMU's objects that secure a connection, as `object-add` describes them. */
export type SecurityObject =
  | (X509Files & { readonly type: 'tls-creds-x509'; readonly id: string })
  | {
      readonly type: 'tls-creds-psk';
      readonly id: string;
      readonly dir: string;
      readonly endpoint: TlsEndpoint;
      readonly username: string;
    }
  | { readonly type: 'authz-simple'; readonly id: string; readonly identity: string }
  | (AuthzList & { readonly type: 'authz-list'; readonly id: string });

/** Read and ready to be used. */
type Loaded =
  | { readonly kind: 'credentials'; readonly credentials: TlsCredentials }
  | { readonly kind: 'authz'; readonly isAuthorized: (identity: string) => boolean };

/**
 * What connections may be secured with, by id. Each connection asks anew: an object that is gone lets
 * nobody in, and a connection that should be secured is never made without.
 */
export class SecurityObjects {
  readonly #objects = new Map<string, Loaded>();

  /** @throws {ChannelError} `ERR_CREDENTIALS`: the id is taken, or a file cannot be used. */
  async add(object: SecurityObject): Promise<void> {
    this.#refuseTaken(object.id);
    const loaded = await load(object);
    this.#refuseTaken(object.id); // reading the files took a while
    this.#objects.set(object.id, loaded);
  }

  /** Credentials that are not in files. @throws {ChannelError} `ERR_CREDENTIALS`: the id is taken. */
  addCredentials(id: string, credentials: TlsCredentials): void {
    this.#refuseTaken(id);
    this.#objects.set(id, { kind: 'credentials', credentials });
  }

  /** Connections that stand go on. @throws {ChannelError} `ERR_CREDENTIALS`: there is none. */
  remove(id: string): void {
    if (!this.#objects.delete(id)) throw unusable(`object '${id}' not found`);
  }

  /**
   * @param tls.hostname what the server's certificate must name; '': the host that is dialled.
   * @returns undefined: `tls.credsId` is '', connections are in the clear.
   * @throws {ChannelError} `ERR_CREDENTIALS`: no such credentials, or not a client's.
   */
  forDialling(tls: { credsId: string; hostname: string }): DialSecurity | undefined {
    if (tls.credsId === '') return undefined;
    const credentials = this.#credentials(tls.credsId, 'client');
    return { credentials, hostname: tls.hostname === '' ? undefined : tls.hostname };
  }

  /**
   * @param tls.authzId who may come in; '': whoever proves a name.
   * @returns undefined: `tls.credsId` is '', connections are in the clear.
   * @throws {ChannelError} `ERR_CREDENTIALS`: no such objects, or not a server's credentials.
   */
  forListening(tls: { credsId: string; authzId: string }): ListenSecurity | undefined {
    if (tls.credsId === '') return undefined;
    const credentials = this.#credentials(tls.credsId, 'server');
    if (tls.authzId === '') return { credentials };
    const authz = this.#objects.get(tls.authzId);
    if (authz?.kind !== 'authz') throw unusable(`no authz object with id '${tls.authzId}'`);
    return { credentials, isAuthorized: authz.isAuthorized };
  }

  /** In QEMU's words. */
  #credentials(id: string, endpoint: TlsEndpoint): TlsCredentials {
    const object = this.#objects.get(id);
    if (object === undefined) throw unusable(`No TLS credentials with id '${id}'`);
    if (object.kind !== 'credentials') {
      throw unusable(`Object with id '${id}' is not TLS credentials`);
    }
    if (object.credentials.endpoint !== endpoint) {
      throw unusable(`Expected TLS credentials for a ${endpoint} endpoint: '${id}' are not`);
    }
    return object.credentials;
  }

  #refuseTaken(id: string): void {
    if (!this.#objects.has(id)) return;
    throw unusable(`attempt to add duplicate property '${id}' to object`);
  }
}

async function load(object: SecurityObject): Promise<Loaded> {
  switch (object.type) {
    case 'tls-creds-x509':
      return { kind: 'credentials', credentials: await loadX509(object) };
    case 'tls-creds-psk': {
      const { dir, endpoint, username } = object;
      return { kind: 'credentials', credentials: await loadPsk(dir, endpoint, username) };
    }
    case 'authz-simple':
      return { kind: 'authz', isAuthorized: (identity) => identity === object.identity };
    case 'authz-list':
      return { kind: 'authz', isAuthorized: (identity) => isAllowed(object, identity) };
    default:
      return assertNever(object);
  }
}

function unusable(message: string): ChannelError {
  return new ChannelError('ERR_CREDENTIALS', message);
}
