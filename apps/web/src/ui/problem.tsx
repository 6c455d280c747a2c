import { Show, type JSX } from 'solid-js'
import './problem.css'

/** A sentence about what went wrong, read out at once, and the way on if there is one. */
export function Problem(props: {
  sentence: string
  action?: { name: string; run: () => void } | undefined
}): JSX.Element {
  return (
    <div class="problem" role="alert" data-testid="problem">
      <p dir="auto">{props.sentence}</p>
      <Show when={props.action}>
        {(action) => (
          <button type="button" class="button quiet" onClick={() => action().run()}>
            {action().name}
          </button>
        )}
      </Show>
    </div>
  )
}
