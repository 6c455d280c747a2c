/**
 * Plan numbers count 1…65,535 and begin again: a frame on the ring carries them in two bytes.
 *
 * @module
 */
const largest = 65_535

export const nextNumber = (number: number): number => (number % largest) + 1

/** Serial number arithmetic (RFC 1982) over 65,535 numbers: newer is up to half the circle ahead. */
export function isNewer(number: number, than: number): boolean {
  const ahead = (number - than + largest) % largest
  return ahead > 0 && ahead <= (largest - 1) / 2
}
