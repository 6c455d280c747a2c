import { createMemo, type JSX } from 'solid-js'
import { encode } from 'uqr'
import './qr-code.css'

/** Dark on light in both themes: many cameras do not read the reverse. Four modules of quiet zone, as ISO 18004 asks. */
export function QrCode(props: { text: string; label: string }): JSX.Element {
  const code = createMemo(() => encode(props.text, { ecc: 'M', border: 4 }))
  const outline = createMemo(() =>
    code()
      .data.flatMap((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')))
      .join(''),
  )
  return (
    <svg class="qr-code" viewBox={`0 0 ${code().size} ${code().size}`} role="img" aria-label={props.label}>
      <path d={outline()} shape-rendering="crispEdges" />
    </svg>
  )
}
