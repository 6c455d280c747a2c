import { Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { Meter } from '../ui/meter.tsx'
import { bytesInWords } from '../words.ts'
import './memory-in-use.css'

/** A browser that keeps so much more than was offered is worth a sentence. */
const worthSaying = 1.05

/** What this device's engine takes of the memory that was offered; unless `brief`, also why, and what stays taken. */
export function MemoryInUse(props: { brief?: boolean }): JSX.Element {
  const { state } = usePage()
  const percent = (share: number) => `${Math.round(100 * share)}\u00a0%`
  return (
    <div class="memory-in-use" data-testid="memory-in-use" data-pressure={state.pressure}>
      <Meter
        label="Memory in use, of what this device offers"
        value={state.pressure}
        tight={state.pressure > 1}
      />
      <p class="muted small">
        {bytesInWords(state.memoryBytes)} of {bytesInWords(state.memoryBudgetBytes)} in use,{' '}
        {percent(state.pressure)}.
        <Show when={!props.brief}>
          {' '}
          At most {percent(state.peakPressure)} since the page opened.
          <Show when={state.streaming}>
            {' '}
            Full is as it should be: what has no room is read from storage for each token.
          </Show>
          <Show when={state.reservedBytes > worthSaying * state.memoryBudgetBytes}>
            {' '}
            The browser keeps {bytesInWords(state.reservedBytes)} that was in use once, until this page is
            reloaded.
          </Show>
        </Show>
      </p>
    </div>
  )
}
