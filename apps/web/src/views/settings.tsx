import { createSignal, createUniqueId, For, Show, type JSX } from 'solid-js'
import { sentenceOf, type ClusterState, type HopTimes } from '../cluster.ts'
import { slowdownInWords } from '../forecast.ts'
import { usePage } from '../page.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Problem } from '../ui/problem.tsx'
import { bytesInWords, msDigits } from '../words.ts'
import { MemoryInUse } from './memory-in-use.tsx'
import './settings.css'

const stepBytes = 128e6

/** This device's side of things, for whoever wants to look or change. */
export function Settings(props: { open: boolean; onClose: () => void }): JSX.Element {
  const { state } = usePage()
  return (
    <Dialog title="Settings" open={props.open} onClose={props.onClose}>
      <Name />
      <Memory />
      <Show when={state.gpu}>{(gpu) => <GpuMemory gpu={gpu()} />}</Show>
      <Stored />
      <Measurements />
      <Room onLeft={props.onClose} />
    </Dialog>
  )
}

function Name(): JSX.Element {
  const { cluster, state, announce } = usePage()
  const id = createUniqueId()
  let field!: HTMLInputElement
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const name = field.value.trim()
    if (name === '') return
    cluster.rename(name)
    announce(`This device is now called ${name}.`)
  }
  return (
    <form class="field" onSubmit={submit}>
      <label for={id}>Name of this device</label>
      <div class="settings-row">
        <input
          ref={(created) => (field = created)}
          id={id}
          class="text-field"
          dir="auto"
          maxlength="64"
          required
          value={state.name}
        />
        <button type="submit" class="button">
          Rename
        </button>
      </div>
    </form>
  )
}

function Memory(): JSX.Element {
  const { cluster, state } = usePage()
  return (
    <BytesSlider
      label="Memory it offers"
      bytes={state.memoryBudgetBytes}
      leastBytes={stepBytes}
      inWords={bytesInWords}
      onset={cluster.setMemoryBudget}
    >
      <MemoryInUse />
      <p class="muted small">A new budget makes a new plan.</p>
    </BytesSlider>
  )
}

/** Beside the memory budget, because most GPUs share the device's memory, and browsers do not say which. */
function GpuMemory(props: { gpu: NonNullable<ClusterState['gpu']> }): JSX.Element {
  const { cluster, state } = usePage()
  return (
    <BytesSlider
      label="Memory of its GPU"
      bytes={state.gpuBudgetBytes}
      leastBytes={0}
      inWords={(bytes) => (bytes === 0 ? 'none, it is switched off' : bytesInWords(bytes))}
      onset={cluster.setGpuBudget}
    >
      <p class="muted small">
        {props.gpu.problem ?? `${props.gpu.name}.`} Most GPUs in laptops and tablets, and those of Macs, share
        the device’s memory: then this comes on top of the memory above, and both must fit beside all else
        that runs here. A graphics card has memory of its own. Browsers do not say which kind it is. All the
        way to the left switches it off.
      </p>
    </BytesSlider>
  )
}

type BytesSliderProps = {
  label: string
  bytes: number
  leastBytes: number
  inWords(bytes: number): string
  onset(bytes: number): void
  children: JSX.Element
}

function BytesSlider(props: BytesSliderProps): JSX.Element {
  const id = createUniqueId()
  const [draggedBytes, setDraggedBytes] = createSignal<number | null>(null)
  const bytes = () => draggedBytes() ?? props.bytes
  const most = () => Math.max(8e9, Math.ceil(props.bytes / stepBytes) * stepBytes)
  return (
    <div class="field">
      <label for={id}>
        {props.label}: {props.inWords(bytes())}
      </label>
      <input
        id={id}
        type="range"
        min={props.leastBytes}
        max={most()}
        step={stepBytes}
        value={bytes()}
        aria-valuetext={props.inWords(bytes())}
        onInput={(event) => setDraggedBytes(event.currentTarget.valueAsNumber)}
        onChange={(event) => {
          // A new budget makes a new plan: once, when the slider rests.
          props.onset(event.currentTarget.valueAsNumber)
          setDraggedBytes(null)
        }}
      />
      {props.children}
    </div>
  )
}

function Stored(): JSX.Element {
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

function Measurements(): JSX.Element {
  const { cluster, state } = usePage()
  const [measuring, setMeasuring] = createSignal(false)
  const [problem, setProblem] = createSignal<string | null>(null)
  const measure = async () => {
    setMeasuring(true)
    setProblem(null)
    try {
      await cluster.measureAgain()
    } catch (thrown) {
      setProblem(sentenceOf(thrown))
    } finally {
      setMeasuring(false)
    }
  }
  return (
    <section aria-labelledby="measured-title">
      <h3 id="measured-title">What it measured</h3>
      <Show when={state.abilities} fallback={<p class="muted small">Measuring…</p>}>
        {(abilities) => (
          <>
            <p class="muted small" data-testid="measured-at" data-measured-at-ms={abilities().measuredAtMs}>
              Measured {new Date(abilities().measuredAtMs).toLocaleString('en')}; kept for a day.
              <Show when={abilities().slowdown}>{(slowdown) => <> {slowdownInWords(slowdown())}</>}</Show>
            </p>
            <details>
              <summary>{abilities().compute}</summary>
              <dl class="facts small">
                <For each={Object.entries(abilities().weightBytesPerSec)}>
                  {([type, bytesPerSec]) => (
                    <>
                      <dt>{type}</dt>
                      <dd>
                        {bytesInWords(bytesPerSec)}/s of weights, one token at a time;{' '}
                        {bytesInWords(abilities().prefillBytesPerSec[type] ?? 0)}/s while it reads a question
                      </dd>
                    </>
                  )}
                </For>
                <Show when={abilities().gpu}>
                  {(gpu) => (
                    <>
                      <For each={Object.entries(gpu().weightBytesPerSec)}>
                        {([type, bytesPerSec]) => (
                          <>
                            <dt>{type} on the GPU</dt>
                            <dd>{bytesInWords(bytesPerSec)}/s, all that a layer does included</dd>
                          </>
                        )}
                      </For>
                      <dt>To the GPU and back</dt>
                      <dd>{msDigits(gpu().copyMs)} ms</dd>
                    </>
                  )}
                </Show>
                <dt>Each layer</dt>
                <dd>{msDigits(abilities().layerFixedMs)} ms besides its weights</dd>
                <dt>Memory of a chat</dt>
                <dd>{bytesInWords(abilities().kvReadBytesPerSec)}/s</dd>
                <dt>Storage</dt>
                <dd>
                  reads {bytesInWords(abilities().diskReadBytesPerSec)}/s{' '}
                  {abilities().diskMeasured === 'warm'
                    ? '(what was just written: at best)'
                    : '(as layers really came)'}
                  , writes {bytesInWords(abilities().diskWriteBytesPerSec)}/s
                </dd>
                <For each={hopsOf(state)}>
                  {({ name, hop }) => (
                    <>
                      <dt dir="auto">To {name}</dt>
                      <dd>
                        {msDigits(hop.rowMs)} ms a hop, nine of ten within {msDigits(hop.rowP90Ms)} ms;{' '}
                        {msDigits(hop.chunkMs)} ms with a part of a question
                        {hop.lateShare > 0 ? `; ${Math.ceil(100 * hop.lateShare)} % come late` : ''}
                      </dd>
                    </>
                  )}
                </For>
              </dl>
            </details>
          </>
        )}
      </Show>
      <Show when={problem()}>{(sentence) => <Problem sentence={sentence()} />}</Show>
      <button type="button" class="button" disabled={measuring()} onClick={() => void measure()}>
        {measuring() ? 'Measuring…' : 'Measure again'}
      </button>
    </section>
  )
}

function hopsOf({ device, room }: ReturnType<typeof usePage>['state']): { name: string; hop: HopTimes }[] {
  const hops = room?.devices.find((view) => view.device === device)?.profile?.hops ?? {}
  return Object.entries(hops).flatMap(([other, hop]) => {
    const name = room?.devices.find((view) => view.device === other)?.name
    return name === undefined ? [] : [{ name, hop }]
  })
}

function Room(props: { onLeft: () => void }): JSX.Element {
  const { cluster } = usePage()
  return (
    <section aria-labelledby="room-title">
      <h3 id="room-title">This room</h3>
      <p class="muted small">A new room has a new link; the devices of this one stay where they are.</p>
      <button
        type="button"
        class="button"
        onClick={() => {
          props.onLeft()
          void cluster.newRoom()
        }}
      >
        New room
      </button>
    </section>
  )
}
