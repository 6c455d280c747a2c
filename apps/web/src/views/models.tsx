import { createEffect, createMemo, createSignal, createUniqueId, For, on, Show, type JSX } from 'solid-js'
import { unwrap } from 'solid-js/store'
import type { OfferedModel } from '../cluster.ts'
import { usePage } from '../page.ts'
import { readinessInWords } from '../readiness.ts'
import { Meter } from '../ui/meter.tsx'
import { Problem } from '../ui/problem.tsx'
import { bytesInWords } from '../words.ts'
import './models.css'

/** What the room runs, and choosing what it should run. */
export function Models(): JSX.Element {
  const { state } = usePage()
  const choice = () => state.room?.choice ?? null
  const [changing, setChanging] = createSignal(false)
  createEffect(
    on(
      () => choice()?.model.url,
      () => setChanging(false),
      { defer: true },
    ),
  )
  return (
    <section class="card" aria-labelledby="models-title">
      <h2 id="models-title">Model</h2>
      <Show when={choice()}>
        {(chosen) => (
          <>
            <p>
              <strong dir="auto">{chosen().model.name}</strong>
              <span class="muted"> · {bytesInWords(chosen().model.sizeBytes)}</span>
            </p>
            <Progress />
          </>
        )}
      </Show>
      <Show
        when={changing() || !choice()}
        fallback={
          <button type="button" class="button" onClick={() => setChanging(true)}>
            Choose another model
          </button>
        }
      >
        <Picker onCancel={choice() ? () => setChanging(false) : null} />
      </Show>
    </section>
  )
}

function Progress(): JSX.Element {
  const { state, models } = usePage()
  const again = () => {
    const choice = state.room?.choice
    if (choice) void models.choose(choice.model.url, unwrap(choice.request))
  }
  return (
    <Show
      when={state.readiness.phase === 'failed' || state.readiness.phase === 'no-plan'}
      fallback={
        <>
          <p class="small muted">{readinessInWords(state).sentence}</p>
          <Show when={state.readiness.phase === 'loading' && state.readiness}>
            {(loading) => (
              <Meter
                label="The room is loading"
                value={loading().loadedBytes / Math.max(1, loading().totalBytes)}
              />
            )}
          </Show>
        </>
      }
    >
      <Problem sentence={readinessInWords(state).sentence} action={{ name: 'Try again', run: again }} />
    </Show>
  )
}

function Picker(props: { onCancel: (() => void) | null }): JSX.Element {
  const { state, models } = usePage()
  const group = createUniqueId()
  const [picked, setPicked] = createSignal<string | null>(null)
  const [typed, setTyped] = createSignal('')
  const [evenly, setEvenly] = createSignal(false)
  const elsewhere = () => picked() === '' || models.offered().length === 0
  const source = () => (elsewhere() ? typed().trim() : (picked() ?? models.offered()[0]?.url ?? ''))
  const roomBytes = createMemo(
    () => state.room?.devices.reduce((sum, { profile }) => sum + (profile?.memoryBytes ?? 0), 0) ?? 0,
  )

  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    if (source() !== '' && !models.choosing())
      void models.choose(source(), { split: evenly() ? 'even' : 'fastest' })
  }
  return (
    <form class="picker" onSubmit={submit}>
      <fieldset>
        <legend class="label">On this server</legend>
        <For each={models.offered()} fallback={<p class="muted small">{models.listProblem() ?? 'None.'}</p>}>
          {(model, index) => (
            <label class="option">
              <input
                type="radio"
                name={group}
                value={model.url}
                checked={picked() === model.url || (picked() === null && index() === 0)}
                onChange={() => setPicked(model.url)}
              />
              <span>
                <span dir="auto">{model.name}</span>
                <span class="muted small"> {sizeInWords(model, roomBytes())}</span>
              </span>
            </label>
          )}
        </For>
        <Show when={models.offered().length > 0}>
          <label class="option">
            <input type="radio" name={group} value="" checked={elsewhere()} onChange={() => setPicked('')} />
            <span>From elsewhere</span>
          </label>
        </Show>
      </fieldset>
      <Show when={elsewhere()}>
        <div class="field">
          <label for={`${group}-source`}>Hugging Face file or address</label>
          <input
            id={`${group}-source`}
            class="text-field"
            type="text"
            dir="ltr"
            autocapitalize="off"
            autocomplete="off"
            spellcheck={false}
            placeholder="owner/repo/file.gguf"
            value={typed()}
            onInput={(event) => {
              setPicked('')
              setTyped(event.currentTarget.value)
            }}
            aria-describedby={`${group}-hint`}
          />
          <p id={`${group}-hint`} class="muted small">
            A GGUF file: owner/repo/file.gguf on Hugging Face, or any address that answers range requests.
          </p>
        </div>
      </Show>
      <label class="option">
        <input
          type="checkbox"
          checked={evenly()}
          onChange={(event) => setEvenly(event.currentTarget.checked)}
        />
        <span>
          Share evenly{' '}
          <span class="muted small">Every device carries a part, even if fewer would be faster.</span>
        </span>
      </label>
      <Show when={models.problem()}>{(sentence) => <Problem sentence={sentence()} />}</Show>
      <button type="submit" class="button main" disabled={source() === '' || models.choosing()}>
        {models.choosing() ? 'Reading its header…' : 'Use this model'}
      </button>
      <Show when={props.onCancel}>
        {(cancel) => (
          <button type="button" class="button" onClick={() => cancel()()}>
            Keep the present one
          </button>
        )}
      </Show>
    </form>
  )
}

/** Weights alone; the KV cache comes on top, so a model that is larger than the room surely does not fit. */
function sizeInWords({ sizeBytes }: OfferedModel, roomBytes: number): string {
  const size = bytesInWords(sizeBytes)
  return roomBytes > 0 && sizeBytes > roomBytes
    ? `${size}, more than this room's ${bytesInWords(roomBytes)}`
    : size
}
