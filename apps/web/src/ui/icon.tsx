import type { JSX } from 'solid-js'

/** Outlines on a 24 × 24 grid; decoration only, the button around one carries the name. */
const outlines = {
  send: 'M12 19V5M5.5 11.5 12 5l6.5 6.5',
  stop: 'M7 7h10v10H7z',
  again: 'M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  check: 'm5 12.5 4.5 4.5L19 7.5',
  share: 'M12 15V4M8 7.5 12 4l4 3.5M6 12v8h12v-8',
  settings:
    'M4 7h9M19 7h1M4 17h1M11 17h9M16 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z',
  close: 'M6 6l12 12M18 6 6 18',
  compose: 'M12 20h8M15.5 4.5l4 4L9 19l-5 1 1-5z',
  down: 'M12 5v14M5.5 12.5 12 19l6.5-6.5',
} as const

export function Icon(props: { name: keyof typeof outlines }): JSX.Element {
  return (
    <svg class={`icon ${props.name}`} viewBox="0 0 24 24" aria-hidden="true">
      <path d={outlines[props.name]} />
    </svg>
  )
}
