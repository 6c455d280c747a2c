import { For, Show, type JSX } from 'solid-js'
import { gpuInWords } from '../gpu-words.ts'
import { usePage } from '../page.ts'
import { bytesInWords } from '../words.ts'
import { MemoryInUse } from './memory-in-use.tsx'

/** What this device can do, and what its browser lacks. */
export function ThisDevice(): JSX.Element {
  const { state, wake } = usePage()
  const stored = () => {
    const { usedBytes, quotaBytes } = state.storage
    return `${bytesInWords(usedBytes)} used${quotaBytes === null ? '' : `, ${bytesInWords(quotaBytes)} allowed`}`
  }
  return (
    <section class="card" aria-labelledby="this-device-title">
      <h2 id="this-device-title">This device</h2>
      <dl class="facts">
        <dt>Compute</dt>
        <dd>{state.abilities?.compute ?? 'Measuring…'}</dd>
        <dt>Memory</dt>
        <dd>
          <MemoryInUse brief />
        </dd>
        <Show when={state.gpu}>
          {(gpu) => (
            <>
              <dt>GPU</dt>
              <dd data-testid="gpu">{gpuInWords(gpu(), state)}</dd>
            </>
          )}
        </Show>
        <dt>Storage</dt>
        <dd>{stored()}</dd>
        <Show when={wake.wakeLock() !== 'none'}>
          <dt>Screen</dt>
          <dd>
            {wake.wakeLock() === 'held'
              ? 'stays on while this device helps'
              : 'may lock, and then this device stops helping: keep it awake and plugged in'}
          </dd>
        </Show>
      </dl>
      <Show
        when={state.missing.length > 0}
        fallback={<p class="muted small">The browser has everything that Hearth can use.</p>}
      >
        <ul class="plain missing">
          <For each={state.missing}>
            {(missing) => (
              <li class={missing.severity === 'blocks' ? 'alarm small' : 'notice small'}>
                {missing.message}
              </li>
            )}
          </For>
        </ul>
      </Show>
    </section>
  )
}
