/**
 * Tokens → text as they arrive. A character's bytes may come in several tokens: what is incomplete waits.
 *
 * @module
 */
export type TokenDecoder = {
  /** The text that this token completes; empty for control tokens and parts of characters. */
  push(id: number): string
  /** What was still waiting, an incomplete character as U+FFFD. */
  flush(): string
}

/**
 * @param bytesOf what a token writes; nothing for control tokens
 * @param stripsFirstSpace drop one space at the beginning, which SentencePiece put there
 */
export function createTokenDecoder(
  bytesOf: (id: number) => Uint8Array,
  stripsFirstSpace: boolean,
): TokenDecoder {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
  let isStart = stripsFirstSpace
  const begun = (text: string): string => {
    if (!isStart || text === '') return text
    isStart = false
    return text.startsWith(' ') ? text.slice(1) : text
  }
  return {
    push: (id) => begun(utf8.decode(bytesOf(id), { stream: true })),
    flush: () => begun(utf8.decode()),
  }
}
