import { Show, type JSX } from 'solid-js'
import type { Connection } from '../cluster.ts'
import { usePage } from '../page.ts'
import { Flame } from '../ui/flame.tsx'
import { Problem } from '../ui/problem.tsx'
import './refused.css'

/** The room did not let this device in: a wrong or old link, a full room, an old page. */
export function Refused(props: { refusal: Extract<Connection, { phase: 'refused' }> }): JSX.Element {
  const { cluster } = usePage()
  return (
    <main class="refused">
      <Flame />
      <h2>{titles[props.refusal.code]}</h2>
      <Problem sentence={props.refusal.message} />
      <Show when={props.refusal.code === 'version'}>
        <button type="button" class="button" onClick={() => location.reload()}>
          Reload this page
        </button>
      </Show>
      <button type="button" class="button main" onClick={() => void cluster.newRoom()}>
        Start a new room
      </button>
    </main>
  )
}

const titles = {
  'no-room': 'This link opens no room',
  'room-full': 'The room is full',
  version: 'This page is out of date',
  malformed: 'Something was not understood',
  replaced: 'Open in another window',
} as const
