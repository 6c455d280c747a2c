import type { JSX } from 'solid-js'
import './meter.css'

/** How far or how full something is; `label` names it for a screen reader, `tight` says that it is over full. */
export function Meter(props: { label: string; value: number; tight?: boolean }): JSX.Element {
  return (
    <progress
      class="meter"
      classList={{ tight: props.tight ?? false }}
      aria-label={props.label}
      max={1}
      value={Math.min(1, Math.max(0, props.value))}
    />
  )
}
