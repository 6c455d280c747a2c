/**
 * Whether this tab is in sight, and keeping it so: browsers slow hidden tabs down, and phones that lock their screen
 * stop them (Chrome throttles after five minutes, iOS within seconds).
 *
 * @module
 */
import { createEffect, createSignal, onCleanup } from 'solid-js'

export type Wake = ReturnType<typeof createWake>

/** A tab that was away for less did no harm. */
const worthMentioningMs = 20_000

/** @param isServing true while others may wait for this device */
export function createWake(isServing: () => boolean) {
  const [visible, setVisible] = createSignal(document.visibilityState === 'visible')
  const [wakeLock, setWakeLock] = createSignal<'held' | 'refused' | 'none'>('none')
  /** For how long the tab was hidden while it served, until the person has read it. */
  const [hiddenForMs, setHiddenForMs] = createSignal<number | null>(null)
  let hiddenAtMs: number | null = null

  const onVisibility = () => {
    const nowVisible = document.visibilityState === 'visible'
    if (!nowVisible && isServing()) hiddenAtMs = Date.now()
    if (nowVisible && hiddenAtMs !== null) {
      const awayMs = Date.now() - hiddenAtMs
      hiddenAtMs = null
      if (awayMs > worthMentioningMs) setHiddenForMs(awayMs)
    }
    setVisible(nowVisible)
  }
  document.addEventListener('visibilitychange', onVisibility)
  onCleanup(() => document.removeEventListener('visibilitychange', onVisibility))

  const plainTitle = document.title
  createEffect(() => {
    document.title = !visible() && isServing() ? `${plainTitle} – slow while hidden` : plainTitle
  })

  // The browser lets go of the lock whenever the tab is hidden; coming back runs this effect again.
  createEffect(() => {
    if (!visible() || !isServing() || !('wakeLock' in navigator)) return
    let wanted = true
    let sentinel: WakeLockSentinel | null = null
    navigator.wakeLock.request('screen').then(
      (granted) => {
        if (!wanted) return void granted.release()
        sentinel = granted
        setWakeLock('held')
      },
      // Refused on low battery, and by iOS home-screen apps before 18.4.
      () => setWakeLock('refused'),
    )
    onCleanup(() => {
      wanted = false
      void sentinel?.release()
      setWakeLock('none')
    })
  })

  return { visible, wakeLock, hiddenForMs, forgetHidden: () => setHiddenForMs(null) }
}
