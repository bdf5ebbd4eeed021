/** Of a side: the one that listens is the server. */
export type TlsEndpoint = 'client' | 'server';

/** Certificates, as PEM texts. */
export interface X509Credentials {
  readonly type: 'x509';
  readonly endpoint: TlsEndpoint;
  /** A server asks for the client's certificate and insists on it, a client checks the server's. */
  readonly verifyPeer: boolean;
  readonly ca: string;
  readonly crl?: string;
  /** A client may have none: then it stays unknown to the server. */
  readonly own?: { readonly cert: string; readonly key: string };
}

/** A key that both sides know. */
export interface PskCredentials {
  readonly type: 'psk';
  readonly endpoint: TlsEndpoint;
  /** Who a client says it is. */
  readonly username: string;
  /** By user name, in hexadecimal digits; a client has its own alone. */
  readonly keys: Readonly<Record<string, string>>;
}

/** What one side proves itself with, and checks the other by. It can be sent to a thread as it is. */
export type TlsCredentials = X509Credentials | PskCredentials;

/** How a connection that is dialled becomes a TLS client. */
export interface DialSecurity {
  readonly credentials: TlsCredentials;
  /** What the server's certificate must name; undefined where nobody has said. */
  readonly hostname: string | undefined;
}

/** How a connection that is accepted becomes a TLS server. */
export interface ListenSecurity {
  readonly credentials: TlsCredentials;
  /**
   * Who may come in, of those that have proved who they are: by the distinguished name of the
   * certificate (RFC 4514), or by the user name of the key. Left out: all of them.
   */
  readonly isAuthorized?: (identity: string) => boolean;
}
