/**
 * What the terminal shows when the server is up: where the page is, and a QR code for the other devices.
 *
 * @module
 */
import type { networkInterfaces } from 'node:os'
import { renderUnicodeCompact } from 'uqr'

/** This machine's IPv4 addresses on the networks that it is part of. */
export const lanAddresses = (interfaces: ReturnType<typeof networkInterfaces>): string[] =>
  Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address)

/** @param lan addresses at which other devices reach the server; none when it listens to this machine alone */
export function greeting(url: string, port: number, lan: readonly string[]): string {
  const urls = lan.map((address) => `http://${address}:${port}`)
  const [first] = urls
  if (first === undefined) return `Hearth is on: ${url}\nOnly this machine can reach it.`
  return [
    `Hearth is on: ${url}`,
    ...urls.map((each) => `In the house:  ${each}`),
    'Browsers grant storage and threads to https and to localhost only: phones need an https address for now.',
    '',
    renderUnicodeCompact(first),
  ].join('\n')
}
