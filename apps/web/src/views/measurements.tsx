import { createSignal, For, Show, type JSX } from 'solid-js'
import { sentenceOf, type ClusterState, type HopTimes } from '../cluster.ts'
import { slowdownInWords } from '../forecast.ts'
import { usePage } from '../page.ts'
import { Problem } from '../ui/problem.tsx'
import { bytesInWords, msDigits } from '../words.ts'

type Abilities = NonNullable<ClusterState['abilities']>

export function Measurements(): JSX.Element {
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
            <Figures abilities={abilities()} />
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

/** As measured, and to every other device how far it is. */
function Figures(props: { abilities: Abilities }): JSX.Element {
  const { state } = usePage()
  return (
    <details>
      <summary>{props.abilities.compute}</summary>
      <dl class="facts small">
        <For each={Object.entries(props.abilities.weightBytesPerSec)}>
          {([type, bytesPerSec]) => (
            <>
              <dt>{type}</dt>
              <dd>
                {bytesInWords(bytesPerSec)}/s of weights, one token at a time;{' '}
                {bytesInWords(props.abilities.prefillBytesPerSec[type] ?? 0)}/s while it reads a question
              </dd>
            </>
          )}
        </For>
        <Show when={props.abilities.gpu}>
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
        <dd>{msDigits(props.abilities.layerFixedMs)} ms besides its weights</dd>
        <dt>Memory of a chat</dt>
        <dd>{bytesInWords(props.abilities.kvReadBytesPerSec)}/s</dd>
        <dt>Storage</dt>
        <dd>
          reads {bytesInWords(props.abilities.diskReadBytesPerSec)}/s{' '}
          {props.abilities.diskMeasured === 'warm'
            ? '(what was just written: at best)'
            : '(as layers really came)'}
          , writes {bytesInWords(props.abilities.diskWriteBytesPerSec)}/s
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
  )
}

function hopsOf({ device, room }: ClusterState): { name: string; hop: HopTimes }[] {
  const hops = room?.devices.find((view) => view.device === device)?.profile?.hops ?? {}
  return Object.entries(hops).flatMap(([other, hop]) => {
    const name = room?.devices.find((view) => view.device === other)?.name
    return name === undefined ? [] : [{ name, hop }]
  })
}
