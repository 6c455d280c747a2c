import { createEffect, createMemo, createSignal, For, Index, onCleanup, Show, type JSX } from 'solid-js'
import type { Seat } from '../seats.ts'
import { countInWords } from '../words.ts'
import { emberOutline, flameOutline } from './flame-outline.ts'
import './ring.css'

const width = 360
const height = 290
const centre = { x: width / 2, y: 144 }
const radius = { x: 132, y: 88 }
/** The fire breathes and the spark travels in steps. As a CSS animation, in steps too, each has 60 frames a second painted. */
const stepMs = 150
const breathSteps = 40
const waySteps = 16
/** Above this many, names would overlap; the list beside the picture has them all. */
const mostNames = 8

type Place = { x: number; y: number }

/** The first seat is at the lower left, so that a room of one sits beside its fire, not on it. */
const placeOf = (index: number, count: number): Place => {
  const angle = Math.PI * (0.75 + (2 * index) / count)
  return { x: centre.x + radius.x * Math.cos(angle), y: centre.y + radius.y * Math.sin(angle) }
}

/** Along the ellipse, clockwise, over `share` of it. */
const arc = (from: Place, to: Place, share: number) =>
  `M${from.x} ${from.y}A${radius.x} ${radius.y} 0 ${share > 0.5 ? 1 : 0} 1 ${to.x} ${to.y}`

/** The devices as seats around a hearth. A picture of what the list of devices says in words. */
export function Ring(props: { seats: Seat[]; burning: boolean; working: boolean }): JSX.Element {
  const seatRadius = () => (props.seats.length <= 6 ? 22 : props.seats.length <= 12 ? 16 : 9)
  const arcs = createMemo(() => {
    const all = props.seats.length
    const inRing = props.seats.filter(({ isInRing }) => isInRing).length
    if (inRing < 2) return []
    const hops = Array.from({ length: inRing - 1 }, (_, index) =>
      arc(placeOf(index, all), placeOf(index + 1, all), 1 / all),
    )
    // The last seat's way back to the head passes those who sit outside of the ring.
    return [...hops, arc(placeOf(inRing - 1, all), placeOf(0, all), 1 - (inRing - 1) / all)]
  })
  const [step, setStep] = createSignal(0)
  createEffect(() => {
    if (!props.burning && !props.working) return
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return
    const timer = setInterval(() => setStep((step) => step + 1), stepMs)
    onCleanup(() => clearInterval(timer))
  })
  const breath = () => (1 - Math.cos((2 * Math.PI * step()) / breathSteps)) / 2
  const way = () => (step() % waySteps) / waySteps
  return (
    <svg
      class="ring"
      classList={{ burning: props.burning, working: props.working }}
      viewBox={`0 0 ${width} ${height}`}
      style={{ '--breath': breath(), '--way': way() }}
      aria-hidden="true"
    >
      <defs>
        <radialGradient id="ring-glow">
          <stop offset="0" stop-color="var(--glow)" stop-opacity="0.75" />
          <stop offset="0.45" stop-color="var(--amber)" stop-opacity="0.22" />
          <stop offset="1" stop-color="var(--amber)" stop-opacity="0" />
        </radialGradient>
      </defs>
      <circle class="ring-glow" cx={centre.x} cy={centre.y} r="92" fill="url(#ring-glow)" />
      <ellipse class="ring-floor" cx={centre.x} cy={centre.y} rx={radius.x} ry={radius.y} />
      <For each={arcs()}>{(outline) => <path class="ring-path" d={outline} />}</For>
      <ellipse class="ring-spark" cx={centre.x} cy={centre.y} rx={radius.x} ry={radius.y} pathLength="100" />
      <g class="ring-fire" transform={`translate(${centre.x - 46} ${centre.y - 48}) scale(3.85)`}>
        <path class="flame-outer" d={flameOutline} />
        <path class="flame-inner" d={emberOutline} />
      </g>
      <Index each={props.seats}>
        {(seat, index) => (
          <SeatPicture
            seat={seat()}
            place={placeOf(index, props.seats.length)}
            radius={seatRadius()}
            named={props.seats.length <= mostNames}
          />
        )}
      </Index>
    </svg>
  )
}

function SeatPicture(props: { seat: Seat; place: Place; radius: number; named: boolean }): JSX.Element {
  const isAbove = () => props.place.y < centre.y
  return (
    <g
      class={`seat ${props.seat.phase}`}
      classList={{ outside: !props.seat.isInRing }}
      transform={`translate(${props.place.x} ${props.place.y})`}
    >
      <circle class="seat-disc" r={props.radius} />
      <Show when={props.seat.phase === 'loading'}>
        <circle
          class="seat-progress"
          r={props.radius}
          pathLength="100"
          stroke-dasharray={`${100 * props.seat.progress} 100`}
          transform="rotate(-90)"
        />
      </Show>
      <text class="seat-initial" y="0.36em" style={{ 'font-size': `${props.radius * 0.86}px` }}>
        {Array.from(props.seat.name)[0]?.toUpperCase()}
      </text>
      <Show when={props.seat.isHead && props.radius > 12}>
        <g transform={`translate(${props.radius * 0.5} ${-props.radius * 1.35}) scale(0.8)`}>
          <circle class="seat-badge" cx="12" cy="13" r="12" />
          <path class="flame-outer" d={flameOutline} transform="translate(2.4 3) scale(0.8)" />
        </g>
      </Show>
      <Show when={props.named}>
        {/* Away from the fire: above the upper seats, below the lower ones. */}
        <text
          class="seat-name"
          y={isAbove() ? -props.radius - (props.seat.layers > 0 ? 23 : 8) : props.radius + 18}
        >
          {shortName(props.seat)}
        </text>
        <Show when={props.seat.layers > 0}>
          <text class="seat-layers" y={isAbove() ? -props.radius - 8 : props.radius + 33}>
            {countInWords(props.seat.layers, 'layer', 'layers')}
            {props.seat.gpuLayers > 0 ? `, ${props.seat.gpuLayers} on GPU` : ''}
          </text>
        </Show>
      </Show>
    </g>
  )
}

const shortName = ({ name, isThisDevice }: Seat): string => {
  if (isThisDevice) return 'You'
  const characters = Array.from(name)
  return characters.length > 15 ? `${characters.slice(0, 14).join('').trimEnd()}…` : name
}
