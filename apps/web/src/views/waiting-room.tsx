import { For, Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { Flame } from '../ui/flame.tsx'
import { Problem } from '../ui/problem.tsx'
import './refused.css'

/** Before there is a room to show: the browser lacks something, or the server has not answered yet. */
export function WaitingRoom(): JSX.Element {
  const { state } = usePage()
  const blocking = () => state.missing.filter(({ severity }) => severity === 'blocks')
  return (
    <main class="refused">
      <Flame />
      <Show
        when={blocking().length > 0}
        fallback={
          <>
            <h2>
              {state.connection.phase === 'offline' ? 'The server is out of reach' : 'Entering the room…'}
            </h2>
            <Show when={state.connection.phase === 'offline'}>
              <p class="muted">
                Is the machine that runs Hearth switched on, and this device in the same network? The page
                goes on by itself as soon as the server answers.
              </p>
            </Show>
          </>
        }
      >
        <h2>This browser cannot take part yet</h2>
        <For each={blocking()}>{({ message }) => <Problem sentence={message} />}</For>
      </Show>
    </main>
  )
}
