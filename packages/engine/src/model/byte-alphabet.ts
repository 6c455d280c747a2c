/**
 * The alphabet of byte-level vocabularies: every byte is one visible character, so that tokens can be written as text.
 *
 * Printable Latin-1 bytes stand for themselves, the other 68 for U+0100 and up, in order. Source: `bytes_to_unicode` of
 * GPT-2's encoder.
 *
 * @module
 */

/** Character of each byte. */
export const byteToChar: readonly string[] = alphabet()

/** Byte of each character. */
export const charToByte: ReadonlyMap<string, number> = new Map(byteToChar.map((char, byte) => [char, byte]))

function alphabet(): string[] {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isVisible(byte) ? byte : next++))
}

/** '!' to '~', '¡' to '¬', '®' to 'ÿ'; not the space, nor the soft hyphen. */
function isVisible(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad)
}
