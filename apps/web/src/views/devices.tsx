import { createMemo, Index, Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { seatsOf, type Seat } from '../seats.ts'
import { countInWords, msDigits } from '../words.ts'
import { Meter } from '../ui/meter.tsx'
import { Ring } from '../ui/ring.tsx'
import './devices.css'

/** Who is here: a picture of the ring, and the same as a list. */
export function Devices(): JSX.Element {
  const { state, chat } = usePage()
  const seats = createMemo(() => seatsOf(state))
  return (
    <section class="card devices" aria-labelledby="devices-title">
      <header>
        <h2 id="devices-title">Around the hearth</h2>
        <span class="muted small">{countInWords(seats().length, 'device', 'devices')}</span>
      </header>
      <Ring seats={seats()} burning={state.readiness.phase === 'ready'} working={chat.busy()} />
      <ul class="plain">
        <Index each={seats()}>{(seat) => <SeatLine seat={seat()} />}</Index>
      </ul>
      <Show when={state.room?.numbered?.plan}>
        {(plan) => (
          <p class="muted small">
            Planned: {countInWords(plan().rounds, 'trip', 'trips')} round the ring for each token, TPOT about{' '}
            {msDigits(plan().predictedTpotMs)} ms.
          </p>
        )}
      </Show>
    </section>
  )
}

function SeatLine(props: { seat: Seat }): JSX.Element {
  return (
    <li
      class="seat-line"
      data-testid="ring-device"
      data-device={props.seat.device}
      data-phase={props.seat.phase}
      data-layers={props.seat.layerRanges}
    >
      <span class={`dot ${props.seat.isInRing ? props.seat.phase : 'idle'}`} aria-hidden="true" />
      <span class="seat-who" dir="auto">
        {props.seat.name}
        <Show when={props.seat.isThisDevice}>
          <span class="muted"> (this device)</span>
        </Show>
      </span>
      <span
        class="seat-does small muted"
        title={props.seat.layerRanges ? `Layers ${props.seat.layerRanges}, counted from 0` : undefined}
      >
        {props.seat.sentence}
        <Show when={props.seat.link === 'failed'}> · no direct connection from here</Show>
        <Show when={props.seat.link === 'connecting'}> · connecting</Show>
      </span>
      <Show when={props.seat.phase === 'loading'}>
        <Meter label={`${props.seat.name} is loading its layers`} value={props.seat.progress} />
      </Show>
    </li>
  )
}
