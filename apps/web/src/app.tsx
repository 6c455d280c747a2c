import { createEffect, createMemo, createSignal, Match, on, Show, Switch, type JSX } from 'solid-js'
import type { Connection } from './cluster.ts'
import { usePage, type Page } from './page.ts'
import { readinessInWords } from './readiness.ts'
import { Flame } from './ui/flame.tsx'
import { Icon } from './ui/icon.tsx'
import { Chat } from './views/chat.tsx'
import { Notices } from './views/notices.tsx'
import { Refused } from './views/refused.tsx'
import { Room } from './views/room.tsx'
import { Settings } from './views/settings.tsx'
import { Setup } from './views/setup.tsx'
import { WaitingRoom } from './views/waiting-room.tsx'
import './app.css'

/** One page: the room beside the chat, or one of the two where the screen is narrow. */
export function App(): JSX.Element {
  const page = usePage()
  const { state, chat, announce } = page
  const view = createMemo(() => viewOf(page))
  const [side, setSide] = createSignal<'room' | 'chat'>(chat.turns().length > 0 ? 'chat' : 'room')
  const [settingsOpen, setSettingsOpen] = createSignal(false)
  const [readinessElement, setReadinessElement] = createSignal<HTMLElement>()

  // The first time that a chat is possible is when people want to see it; later they have chosen their side.
  let wasReady = false
  createEffect(() => {
    if (wasReady || state.readiness.phase !== 'ready') return
    wasReady = true
    setSide('chat')
  })
  // The header counts percents as they come; who listens hears only that something else is going on.
  createEffect(
    on([() => state.readiness.phase, () => state.room !== null], () =>
      announce(readinessInWords(state).sentence),
    ),
  )
  // The button that brought the next view is gone with the last one: its focus goes to what tells how the room is.
  createEffect(
    on(
      view,
      () =>
        requestAnimationFrame(() => {
          if (document.activeElement === document.body) readinessElement()?.focus()
        }),
      { defer: true },
    ),
  )

  return (
    <div class="app" data-side={side()}>
      <header class="top">
        <h1>
          <Flame />
          Hearth
        </h1>
        <p
          ref={setReadinessElement}
          class={`readiness small ${state.readiness.phase}`}
          tabindex="-1"
          data-testid="readiness"
          data-phase={state.readiness.phase}
        >
          {readinessInWords(state).short}
        </p>
        <Show when={view() === 'room'}>
          <nav class="sides" aria-label="Parts of the page">
            <button type="button" aria-pressed={side() === 'room'} onClick={() => setSide('room')}>
              Room
            </button>
            <button type="button" aria-pressed={side() === 'chat'} onClick={() => setSide('chat')}>
              Chat
            </button>
          </nav>
        </Show>
        <button
          type="button"
          class="button icon-only"
          aria-label="Settings"
          title="Settings"
          onClick={() => setSettingsOpen(true)}
        >
          <Icon name="settings" />
        </button>
      </header>
      <Notices />
      <Switch>
        <Match when={refusalOf(state.connection)}>{(refusal) => <Refused refusal={refusal()} />}</Match>
        <Match when={view() === 'waiting'}>
          <WaitingRoom />
        </Match>
        <Match when={view() === 'setup'}>
          <Setup />
        </Match>
        <Match when={view() === 'room'}>
          <div class="sides-by-side">
            <Room />
            <Chat />
          </div>
        </Match>
      </Switch>
      <Show when={settingsOpen()}>
        <Settings open onClose={() => setSettingsOpen(false)} />
      </Show>
    </div>
  )
}

function viewOf({ state, chat }: Page): 'refused' | 'waiting' | 'setup' | 'room' {
  if (state.connection.phase === 'refused') return 'refused'
  if (state.missing.some(({ severity }) => severity === 'blocks')) return 'waiting'
  // A conversation can be read again before, and without, the server.
  if (!state.room) return chat.turns().length > 0 ? 'room' : 'waiting'
  return state.room.choice ? 'room' : 'setup'
}

const refusalOf = (connection: Connection) => (connection.phase === 'refused' ? connection : null)
