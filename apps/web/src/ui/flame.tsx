import type { JSX } from 'solid-js'
import { emberOutline, flameOutline } from './flame-outline.ts'

export function Flame(props: { class?: string }): JSX.Element {
  return (
    <svg class={`flame ${props.class ?? ''}`} viewBox="0 0 24 24" aria-hidden="true">
      <path class="flame-outer" d={flameOutline} />
      <path class="flame-inner" d={emberOutline} />
    </svg>
  )
}
