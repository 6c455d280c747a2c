import { Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { Devices } from './devices.tsx'
import { Install } from './install.tsx'
import { Join } from './join.tsx'
import { Models } from './models.tsx'
import { ThisDevice } from './this-device.tsx'

/** The room beside the chat. */
export function Room(): JSX.Element {
  const { state } = usePage()
  return (
    <aside class="room" aria-label="Room">
      <Show when={state.room}>
        <Devices />
        <Models />
        <Join />
      </Show>
      <ThisDevice />
      <Install />
    </aside>
  )
}
