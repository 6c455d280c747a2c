import { createMemo, Index, Show, type JSX } from 'solid-js'
import { forecastOf, slowdownInWords, type DeviceForecast } from '../forecast.ts'
import { usePage } from '../page.ts'
import { seatsOf, type Seat } from '../seats.ts'
import { bytesInWords, countInWords, msDigits } from '../words.ts'
import { Meter } from '../ui/meter.tsx'
import { Ring } from '../ui/ring.tsx'
import { Why } from './why.tsx'
import './devices.css'

/** Who is here: a picture of the ring, and the same as a list. */
export function Devices(): JSX.Element {
  const { state, chat } = usePage()
  const seats = createMemo(() => seatsOf(state))
  const forecast = createMemo(() => forecastOf(state.room))
  return (
    <section class="card devices" aria-labelledby="devices-title">
      <header>
        <h2 id="devices-title">Around the hearth</h2>
        <span class="muted small">{countInWords(seats().length, 'device', 'devices')}</span>
      </header>
      <Ring seats={seats()} burning={state.readiness.phase === 'ready'} working={chat.busy()} />
      <ul class="plain">
        <Index each={seats()}>
          {(seat) => <SeatLine seat={seat()} forecast={forecast()?.devices.get(seat().device) ?? null} />}
        </Index>
      </ul>
      <Show when={state.room?.numbered}>
        <Why predictedMs={forecast()?.tpotMs ?? state.room!.numbered!.plan.predictedTpotMs} />
      </Show>
    </section>
  )
}

function SeatLine(props: { seat: Seat; forecast: DeviceForecast | null }): JSX.Element {
  const part = () => (props.seat.isInRing ? props.forecast : null)
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
      <Show when={part()}>
        {(part) => (
          <span class="seat-ms small" title="What it adds to each token">
            {msDigits(part().computeMs + part().hopMs)} ms
          </span>
        )}
      </Show>
      <span
        class="seat-does small muted"
        title={props.seat.layerRanges ? `Layers ${props.seat.layerRanges}, counted from 0` : undefined}
      >
        {props.seat.sentence}
        <Show when={props.seat.link === 'failed'}> · no direct connection from here</Show>
        <Show when={props.seat.link === 'connecting'}> · connecting</Show>
      </span>
      <Show when={props.seat.slowdown}>
        {(slowdown) => <span class="seat-does small notice-text">{slowdownInWords(slowdown())}</span>}
      </Show>
      <Show
        when={props.seat.phase === 'loading'}
        fallback={<Show when={part()}>{(part) => <Memory name={props.seat.name} part={part()} />}</Show>}
      >
        <Meter label={`${props.seat.name} is loading its layers`} value={props.seat.progress} />
      </Show>
    </li>
  )
}

/** How much of what a device offers its part fills. */
function Memory(props: { name: string; part: DeviceForecast }): JSX.Element {
  const isTight = () => props.part.memoryBytes > props.part.budgetBytes
  const words = () => {
    const [part, offer] = [bytesInWords(props.part.memoryBytes), bytesInWords(props.part.budgetBytes)]
    return isTight() ? `needs ${part}, offers ${offer}` : `${part} of ${offer}`
  }
  return (
    <span class="seat-memory small muted">
      <Meter
        label={`Memory that ${props.name} fills`}
        value={props.part.memoryBytes / props.part.budgetBytes}
        tight={isTight()}
      />
      {words()}
    </span>
  )
}
