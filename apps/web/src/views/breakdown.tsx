import type { JSX } from 'solid-js'
import { Flame } from '../ui/flame.tsx'
import { Problem } from '../ui/problem.tsx'
import './refused.css'

/** When the page itself cannot go on: the sentence, and the one thing that may help. */
export function Breakdown(props: { sentence: string }): JSX.Element {
  return (
    <main class="refused">
      <Flame />
      <h1>Hearth cannot go on</h1>
      <Problem sentence={props.sentence} />
      <button type="button" class="button main" onClick={() => location.reload()}>
        Load the page again
      </button>
    </main>
  )
}
