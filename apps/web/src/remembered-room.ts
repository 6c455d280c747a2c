/**
 * The room that this browser was in last, as the fragment of its link.
 *
 * @module
 */

const storageKey = 'hearth.fragment'

export type RememberedRoom = ReturnType<typeof createRememberedRoom>

/** @param storage where it is kept; null where the browser keeps nothing */
export const createRememberedRoom = (storage: Storage | null) => ({
  /** With its '#'; '' when there is none. */
  fragment: (): string => storage?.getItem(storageKey) ?? '',
  remember(fragment: string): void {
    try {
      storage?.setItem(storageKey, fragment)
    } catch {
      // Storage is full: the next visit needs the link again.
    }
  },
})

/** Browsers that keep nothing throw at the mere sight of `localStorage`. */
export function availableStorage(): Storage | null {
  try {
    return window.localStorage
  } catch {
    return null
  }
}
