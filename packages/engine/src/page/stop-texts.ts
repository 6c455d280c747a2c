/**
 * Ends an answer before the first of some texts, wherever tokens cut them. Pure.
 *
 * @module
 */
export interface StopTexts {
  /** @returns what of the answer is certain to come before any of the texts */
  push(text: string): string
  /** Whether one of them came. */
  isOver(): boolean
  /** What was held back and turned out to begin none of them; to be asked once, at the answer's end. */
  rest(): string
}

export function createStopTexts(stops: readonly string[]): StopTexts {
  let held = ''
  let isOver = false

  /** How many of the last characters may be the beginning of a stop text. */
  function openEnd(): number {
    let longest = 0
    for (const stop of stops) {
      for (let n = Math.min(stop.length - 1, held.length); n > longest; n--) {
        if (held.endsWith(stop.slice(0, n))) longest = n
      }
    }
    return longest
  }

  function take(chars: number): string {
    const text = held.slice(0, chars)
    held = held.slice(chars)
    return text
  }

  return {
    push(text) {
      held += text
      const found = stops.map((stop) => held.indexOf(stop)).filter((at) => at >= 0)
      if (found.length === 0) return take(held.length - openEnd())
      isOver = true
      const said = take(Math.min(...found))
      held = ''
      return said
    },
    isOver: () => isOver,
    rest: () => take(held.length),
  }
}
