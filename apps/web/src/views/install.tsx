import { Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'

/** A quiet offer at the foot of the room; nothing where the browser has no way to install. */
export function Install(): JSX.Element {
  const { installation } = usePage()
  return (
    <>
      <Show when={installation.canInstall()}>
        <button type="button" class="button" onClick={() => void installation.install()}>
          Put Hearth on the home screen
        </button>
      </Show>
      <Show when={installation.needsShareMenu()}>
        <p class="muted small">To keep Hearth on the home screen: Share, then “Add to Home Screen”.</p>
      </Show>
    </>
  )
}
