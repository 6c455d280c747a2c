/**
 * Putting Hearth on the home screen, where the browser has a way, and taking a new version when there is one.
 *
 * @module
 */
import { createSignal, onCleanup } from 'solid-js'
import { registerSW } from 'virtual:pwa-register'

/** Chromium only; not in TypeScript's lib. */
type InstallPromptEvent = Event & { prompt(): Promise<{ outcome: 'accepted' | 'dismissed' }> }

export type Installation = ReturnType<typeof createInstallation>

export function createInstallation() {
  const [prompt, setPrompt] = createSignal<InstallPromptEvent | null>(null)
  const [updateWaits, setUpdateWaits] = createSignal(false)

  const onPrompt = (event: Event) => {
    // Kept for the page's own, quieter button.
    event.preventDefault()
    setPrompt(event as InstallPromptEvent)
  }
  const onInstalled = () => setPrompt(null)
  window.addEventListener('beforeinstallprompt', onPrompt)
  window.addEventListener('appinstalled', onInstalled)
  onCleanup(() => {
    window.removeEventListener('beforeinstallprompt', onPrompt)
    window.removeEventListener('appinstalled', onInstalled)
  })

  // A new version waits until the person says so: a reload in the middle of an answer would lose it.
  const update = registerSW({ onNeedRefresh: () => setUpdateWaits(true) })

  return {
    canInstall: () => prompt() !== null,
    /** Safari has no prompt; only there does `navigator` have `standalone`. */
    needsShareMenu: () => 'standalone' in navigator && navigator.standalone === false,
    async install() {
      await prompt()?.prompt()
      setPrompt(null)
    },
    updateWaits,
    update: () => update(true),
  }
}
