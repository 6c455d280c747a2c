import { For, Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { readinessInWords } from '../readiness.ts'
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
            <h2>{readinessInWords(state).title}</h2>
            <p class="muted">{readinessInWords(state).sentence}</p>
          </>
        }
      >
        <h2>This browser cannot take part yet</h2>
        <For each={blocking()}>{({ message }) => <Problem sentence={message} />}</For>
      </Show>
    </main>
  )
}
