import type { JSX } from 'solid-js'
import './meter.css'

/** How far something is; `label` names it for a screen reader. */
export function Meter(props: { label: string; value: number }): JSX.Element {
  return (
    <progress class="meter" aria-label={props.label} max={1} value={Math.min(1, Math.max(0, props.value))} />
  )
}
