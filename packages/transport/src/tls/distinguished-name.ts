/**
 * The distinguished name as RFC 4514 writes it, the last part of the certificate's first:
 * `CN=laptop.example.com,O=Example Home,L=London,ST=London,C=GB`. `openssl x509 -noout -subject
 * -nameopt RFC2253` prints the same.
 *
 * @param subject of Node's `X509Certificate`: a line for each part, in the certificate's order,
 *   special characters escaped already.
 */
export function distinguishedName(subject: string): string {
  return subject
    .split('\n')
    .map((part) => part.replaceAll(' + ', '+'))
    .toReversed()
    .join(',');
}
