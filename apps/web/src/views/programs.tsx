import { Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { CodeBlock } from '../ui/code-block.tsx'
import { CopyButton } from '../ui/copy-button.tsx'
import './programs.css'

/** Lets programs ask the room by way of this device: off until a person says so, and knows what it means. */
export function Programs(): JSX.Element {
  const { cluster, state, announce } = usePage()
  const set = (isOpen: boolean) => {
    cluster.setDoor(isOpen)
    announce(isOpen ? 'Programs that have the key may ask now.' : 'Programs may not ask any more.')
  }
  return (
    <section aria-labelledby="programs-title">
      <h3 id="programs-title">Use it from other programs</h3>
      <label class="option">
        <input
          type="checkbox"
          checked={state.door.isOpen}
          onChange={(event) => set(event.currentTarget.checked)}
        />
        <span>
          Let programs ask{' '}
          <span class="muted small">
            Editors, chat apps and scripts that speak OpenAI’s API, by way of this device while its page is
            open.
          </span>
        </span>
      </label>
      <p class="muted small">
        Chats on these pages pass between the devices alone. What a program asks and is answered passes
        through the server, which can read it.
      </p>
      <Show when={state.door.isOpen && state.door.key}>
        {(key) => (
          <>
            <Value name="Base URL" text={state.door.baseUrl} />
            <Value name="API key" text={key()} />
            <CodeBlock
              language="curl"
              text={curlExample(state.door.baseUrl, key(), state.room?.choice?.model.name)}
            />
            <p class="muted small">
              The key is this room’s: whoever has it may ask. It does not let anyone into the room.
            </p>
          </>
        )}
      </Show>
    </section>
  )
}

function Value(props: { name: string; text: string }): JSX.Element {
  return (
    <div class="program-value">
      <span class="label">{props.name}</span>
      <code class="small" dir="ltr">
        {props.text}
      </code>
      <CopyButton text={props.text} name={`Copy ${props.name}`} />
    </div>
  )
}

const curlExample = (baseUrl: string, key: string, model: string | undefined): string =>
  `curl ${baseUrl}/chat/completions \\
  -H "Authorization: Bearer ${key}" \\
  -H "Content-Type: application/json" \\
  -d '${JSON.stringify({ ...(model && { model }), messages: [{ role: 'user', content: 'Hello' }] })}'`
