/**
 * At most one call per interval, the first at once and always the last.
 *
 * @module
 */
export function throttled<A extends unknown[]>(
  intervalMs: number,
  act: (...args: A) => void,
): (...args: A) => void {
  let latest: A | null = null
  let resting = false
  const rest = () => {
    resting = true
    setTimeout(() => {
      resting = false
      if (latest === null) return
      act(...latest)
      latest = null
      rest()
    }, intervalMs)
  }
  return (...args) => {
    if (resting) {
      latest = args
      return
    }
    act(...args)
    rest()
  }
}
