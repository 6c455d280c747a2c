import { createEffect, createSignal, on, onCleanup, Show, type JSX } from 'solid-js'
import type { Connection } from '../cluster.ts'
import { usePage } from '../page.ts'
import { Problem } from '../ui/problem.tsx'
import { durationInWords } from '../words.ts'
import './notices.css'

/** Above everything else: the server out of reach, trouble, a tab that was out of sight, a new version. */
export function Notices(): JSX.Element {
  const { state, wake, installation, announce } = usePage()
  const [dismissed, setDismissed] = createSignal<Error | null>(null)
  const problem = () => (state.problem && state.problem !== dismissed() ? state.problem : null)
  createEffect(
    on(
      () => state.connection.phase,
      (phase, before) => {
        if (phase === 'offline' && before !== 'offline') announce('The server is out of reach.')
        if (phase === 'online' && before === 'offline') announce('The server is back.')
      },
    ),
  )
  return (
    <div class="notices">
      <Show when={retryAtOf(state.connection)}>{(retryAtMs) => <Offline retryAtMs={retryAtMs()} />}</Show>
      <Show when={problem()}>
        {(error) => (
          <Problem
            sentence={error().message}
            action={{ name: 'Dismiss', run: () => setDismissed(error()) }}
          />
        )}
      </Show>
      <Show when={wake.hiddenForMs()}>
        {(hiddenMs) => (
          <div class="notice small" role="status">
            <p>
              This tab was out of sight for {durationInWords(hiddenMs())}. Browsers slow hidden tabs down:
              keep it visible while others chat.
            </p>
            <button type="button" class="button quiet" onClick={wake.forgetHidden}>
              Understood
            </button>
          </div>
        )}
      </Show>
      <Show when={installation.updateWaits()}>
        <div class="notice small" role="status">
          <p>A new version of Hearth is here.</p>
          <button type="button" class="button quiet" onClick={() => void installation.update()}>
            Reload
          </button>
        </div>
      </Show>
    </div>
  )
}

function Offline(props: { retryAtMs: number }): JSX.Element {
  const { state } = usePage()
  const [nowMs, setNowMs] = createSignal(Date.now())
  const timer = setInterval(() => setNowMs(Date.now()), 500)
  onCleanup(() => clearInterval(timer))
  const when = () => {
    const seconds = Math.ceil((props.retryAtMs - nowMs()) / 1000)
    return seconds > 0 ? `trying again in ${seconds} s` : 'trying again now'
  }
  return (
    <div class="notice small" data-testid="offline">
      <p>
        The server is out of reach; {when()}.
        <Show when={state.readiness.phase === 'ready'}> Chats between the devices go on meanwhile.</Show>
      </p>
    </div>
  )
}

const retryAtOf = (connection: Connection): number | null =>
  connection.phase === 'offline' ? connection.retryAtMs : null
