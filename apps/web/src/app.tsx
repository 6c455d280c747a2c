import { createEffect, createSignal, Match, on, Show, Switch, type JSX } from 'solid-js'
import type { Connection } from './cluster.ts'
import { usePage } from './page.ts'
import { readinessInWords } from './readiness.ts'
import { Flame } from './ui/flame.tsx'
import { Icon } from './ui/icon.tsx'
import { Chat } from './views/chat.tsx'
import { Devices } from './views/devices.tsx'
import { Install } from './views/install.tsx'
import { Join } from './views/join.tsx'
import { Models } from './views/models.tsx'
import { Notices } from './views/notices.tsx'
import { Refused } from './views/refused.tsx'
import { Settings } from './views/settings.tsx'
import { Setup } from './views/setup.tsx'
import { ThisDevice } from './views/this-device.tsx'
import { WaitingRoom } from './views/waiting-room.tsx'
import './app.css'

/** One page: the room beside the chat, or one of the two where the screen is narrow. */
export function App(): JSX.Element {
  const { state, announce } = usePage()
  const [side, setSide] = createSignal<'room' | 'chat'>('room')
  const [settingsOpen, setSettingsOpen] = createSignal(false)
  const hasModel = () => state.room !== null && state.room.choice !== null
  const isBlocked = () => state.missing.some(({ severity }) => severity === 'blocks')
  // The first time that a chat is possible is when people want to see it.
  createEffect(
    on(
      () => state.readiness.phase === 'ready',
      (ready) => ready && setSide('chat'),
    ),
  )
  const shortly = () => {
    if (state.room) return readinessInWords(state).short
    return state.connection.phase === 'offline' ? 'Out of reach' : 'Entering'
  }
  // The header counts percents as they come; who listens hears only that something else is going on.
  createEffect(
    on(
      () => state.room && state.readiness.phase,
      (phase) => phase && announce(readinessInWords(state).sentence),
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
          class={`readiness small ${state.readiness.phase}`}
          data-testid="readiness"
          data-phase={state.readiness.phase}
        >
          {shortly()}
        </p>
        <Show when={hasModel()}>
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
      <Switch
        fallback={
          <div class="sides-by-side">
            <aside class="room" aria-label="Room">
              <Devices />
              <Models />
              <Join />
              <ThisDevice />
              <Install />
            </aside>
            <Chat />
          </div>
        }
      >
        <Match when={refusalOf(state.connection)}>{(refusal) => <Refused refusal={refusal()} />}</Match>
        <Match when={state.room === null || isBlocked()}>
          <WaitingRoom />
        </Match>
        <Match when={!hasModel()}>
          <Setup />
        </Match>
      </Switch>
      <Show when={settingsOpen()}>
        <Settings open onClose={() => setSettingsOpen(false)} />
      </Show>
    </div>
  )
}

const refusalOf = (connection: Connection) => (connection.phase === 'refused' ? connection : null)
