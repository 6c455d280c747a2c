import { createSignal, For, Show, type JSX } from 'solid-js'
import { sentenceOf } from '../cluster.ts'
import { usePage } from '../page.ts'
import { Problem } from '../ui/problem.tsx'
import { bytesInWords } from '../words.ts'

export function StoredModels(): JSX.Element {
  const { cluster, state, announce } = usePage()
  const [problem, setProblem] = createSignal<string | null>(null)
  const remove = async (model: string, name: string) => {
    setProblem(null)
    try {
      await cluster.removeModel(model)
      announce(`${name} is removed from this device.`)
    } catch (thrown) {
      setProblem(sentenceOf(thrown))
    }
  }
  return (
    <section aria-labelledby="stored-title">
      <h3 id="stored-title">Models kept on this device</h3>
      <ul class="plain stored">
        <For each={state.storage.models} fallback={<li class="muted small">None yet.</li>}>
          {(model) => (
            <li>
              <span dir="auto">
                {model.name}
                <span class="muted small">
                  {' '}
                  {bytesInWords(model.storedBytes)}
                  {model.inUse ? ', in use' : ''}
                </span>
              </span>
              <button
                type="button"
                class="button quiet"
                aria-label={`Remove ${model.name}`}
                onClick={() => void remove(model.model, model.name)}
              >
                Remove
              </button>
            </li>
          )}
        </For>
      </ul>
      <Show when={problem()}>{(sentence) => <Problem sentence={sentence()} />}</Show>
      <p class="muted small">
        {bytesInWords(state.storage.usedBytes)} in all, {bytesInWords(state.downloadedBytes)} downloaded since
        the page opened.{' '}
        {state.storage.persisted
          ? 'The browser keeps them.'
          : 'The browser may clear them when the disk runs full; installing Hearth makes that less likely.'}
      </p>
    </section>
  )
}
