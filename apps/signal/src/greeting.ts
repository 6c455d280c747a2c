/**
 * What the terminal shows when the server is up: where the page is, and a QR code for the other devices.
 *
 * @module
 */
import { renderUnicodeCompact } from 'uqr'

/**
 * @param url for this machine
 * @param houseUrls for other devices; none when it listens to this machine alone
 * @param warns whether their browsers will warn of the certificate
 */
export function greeting(url: string, houseUrls: readonly string[], warns: boolean): string {
  const [first] = houseUrls
  if (first === undefined) return `Hearth is on: ${url}\nOnly this machine can reach it.`
  return [
    `Hearth is on: ${url}`,
    ...houseUrls.map((each) => `In the house:  ${each}`),
    ...(warns
      ? [
          'There, each browser warns once: nobody but this machine vouches for its certificate. Choose to go on ("Advanced").',
        ]
      : []),
    '',
    renderUnicodeCompact(first),
  ].join('\n')
}
