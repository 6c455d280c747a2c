import { createMemo, createSignal, For, Show, type JSX } from 'solid-js'
import type { PlanRequest } from '../cluster.ts'
import { reasonsOf, type Reason } from '../forecast.ts'
import { usePage } from '../page.ts'
import { measuredMs } from '../track-record.ts'
import { countInWords, msDigits } from '../words.ts'
import './why.css'

/** Why the layers are shared out as they are, and whether it came as predicted. */
export function Why(props: { predictedMs: number }): JSX.Element {
  const { state, chat } = usePage()
  const [open, setOpen] = createSignal(false)
  const plan = () => state.room?.numbered ?? null
  const split = () => state.room?.choice?.request.split ?? 'fastest'
  // Plans once more for every device: when it is looked at, and again when somebody has measured something new.
  const reasons = createMemo(() => (open() ? reasonsOf(state.room) : null))
  const measured = () => measuredMs(chat.record(), plan()?.number)
  return (
    <>
      <p class="small forecast" data-testid="forecast" data-predicted-ms={props.predictedMs}>
        Expected: {msDigits(props.predictedMs)} ms per token
        <Show when={(plan()?.plan.rounds ?? 1) > 1}>
          , {countInWords(plan()!.plan.rounds, 'trip', 'trips')} round the ring for each
        </Show>
        .{' '}
        <Show
          when={measured()}
          fallback={<span class="muted">How it really is shows after the first answer here.</span>}
        >
          {(ms) => (
            <span data-testid="measured" data-measured-ms={ms()}>
              {comparisonInWords(props.predictedMs, ms(), chat.record()!.tpotMs)}
            </span>
          )}
        </Show>
      </p>
      <details class="why" onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>Why this way?</summary>
        <Show
          when={reasons()}
          fallback={<p class="muted small">The devices are still measuring what they can do.</p>}
        >
          {(found) => (
            <>
              <p class="small muted">
                A model writes in tokens, about three quarters of a word each. A token visits the devices of
                the ring one after the other, so the times that they need add up. {requestWords[split()]}
              </p>
              <ul class="plain reasons">
                <For each={found().reasons}>{(reason) => <ReasonLine reason={reason} />}</For>
              </ul>
              <For each={found().notes}>{(note) => <p class="small muted">{note}</p>}</For>
            </>
          )}
        </Show>
      </details>
    </>
  )
}

function ReasonLine(props: { reason: Reason }): JSX.Element {
  const percent = () => Math.round(100 * props.reason.share)
  return (
    <li class="small" data-testid="reason" data-device={props.reason.device}>
      <span class="reason-head">
        <strong dir="auto">{props.reason.name}</strong>
        <Show when={props.reason.isInRing}>
          <span class="muted">{percent()} % of the time</span>
        </Show>
      </span>
      <Show when={props.reason.isInRing}>
        <span class="reason-bar" aria-hidden="true" style={{ '--share': `${percent()}%` }} />
      </Show>
      <span class="muted">{props.reason.sentences.join(' ')}</span>
    </li>
  )
}

const requestWords: Record<PlanRequest['split'], string> = {
  fastest: 'Of all ways to share out the layers, this is the fastest that fits.',
  even: 'The layers are shared out evenly, as somebody here asked; fewer devices may be faster.',
  manual: 'Somebody here shared out the layers by hand; another way may be faster.',
}

/** Less than this is as good as expected: the prediction's own aim. */
const near = 0.15

function comparisonInWords(predictedMs: number, ms: number, answers: readonly number[]): string {
  const last =
    answers.length === 1
      ? `The last answer took ${msDigits(ms)} ms`
      : `The last ${answers.length} answers took ${answers.map(msDigits).join(', ')} ms`
  const ratio = ms / predictedMs
  if (Math.abs(ratio - 1) <= near) return `${last}: as expected.`
  return ratio > 1
    ? `${last}: slower than expected. Something else may keep a device busy.`
    : `${last}: faster than expected.`
}
