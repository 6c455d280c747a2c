import { createSignal, Show, type JSX } from 'solid-js'
import { Icon } from './icon.tsx'
import './composer.css'

/** Where a question is written. Enter sends, Shift+Enter breaks the line. */
export function Composer(props: {
  mayAsk: boolean
  /** Why it may not, or ''. */
  hint: string
  busy: boolean
  onSend: (question: string) => void
  onStop: () => void
  focusRef: (focus: () => void) => void
}): JSX.Element {
  let field!: HTMLTextAreaElement
  const [text, setText] = createSignal('')
  const canSend = () => props.mayAsk && !props.busy && text().trim() !== ''
  props.focusRef(() => field.focus())

  const send = () => {
    if (!canSend()) return
    props.onSend(text().trim())
    setText('')
    field.focus()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    // An Enter that ends a composition (Japanese, Chinese, Korean) is not one that sends.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    send()
  }
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
    >
      <div class="composer-row">
        <textarea
          ref={(created) => (field = created)}
          rows="1"
          dir="auto"
          aria-label="Message"
          aria-describedby="composer-hint"
          placeholder="Ask the hearth…"
          enterkeyhint="send"
          value={text()}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        <Show
          when={props.busy}
          fallback={
            <button
              type="submit"
              class="button main icon-only"
              aria-label="Send"
              title="Send"
              disabled={!canSend()}
            >
              <Icon name="send" />
            </button>
          }
        >
          <button
            type="button"
            class="button main icon-only"
            aria-label="Stop"
            title="Stop"
            onClick={() => {
              props.onStop()
              field.focus()
            }}
          >
            <Icon name="stop" />
          </button>
        </Show>
      </div>
      <p id="composer-hint" class="small muted" dir="auto">
        {props.hint}
      </p>
    </form>
  )
}
