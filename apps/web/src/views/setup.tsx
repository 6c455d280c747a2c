import type { JSX } from 'solid-js'
import { Devices } from './devices.tsx'
import { Install } from './install.tsx'
import { Join } from './join.tsx'
import { Models } from './models.tsx'
import { ThisDevice } from './this-device.tsx'
import './setup.css'

/** The room before it has a model: who is here, how to bring more, and what to run. */
export function Setup(): JSX.Element {
  return (
    <main class="setup">
      <div class="setup-columns">
        <header>
          <h2>Light the hearth</h2>
          <p class="muted">
            Each device that opens this room carries a part of a language model. Bring a few, choose a model,
            and chat: what you write stays on these devices.
          </p>
        </header>
        <Devices />
        <Join />
        <div class="setup-last">
          <Models />
          <ThisDevice />
          <Install />
        </div>
      </div>
    </main>
  )
}
