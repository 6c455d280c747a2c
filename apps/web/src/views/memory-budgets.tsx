import { createSignal, createUniqueId, type JSX } from 'solid-js'
import type { ClusterState } from '../cluster.ts'
import { usePage } from '../page.ts'
import { bytesInWords } from '../words.ts'
import { MemoryInUse } from './memory-in-use.tsx'

const stepBytes = 128e6

export function Memory(): JSX.Element {
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
export function GpuMemory(props: { gpu: NonNullable<ClusterState['gpu']> }): JSX.Element {
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
