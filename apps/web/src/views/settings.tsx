import { createUniqueId, Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Measurements } from './measurements.tsx'
import { GpuMemory, Memory } from './memory-budgets.tsx'
import { Programs } from './programs.tsx'
import { StoredModels } from './stored-models.tsx'
import './settings.css'

/** This device's side of things, for whoever wants to look or change. */
export function Settings(props: { open: boolean; onClose: () => void }): JSX.Element {
  const { state } = usePage()
  return (
    <Dialog title="Settings" open={props.open} onClose={props.onClose}>
      <Name />
      <Memory />
      <Show when={state.gpu}>{(gpu) => <GpuMemory gpu={gpu()} />}</Show>
      <StoredModels />
      <Measurements />
      <Programs />
      <Room onLeft={props.onClose} />
    </Dialog>
  )
}

function Name(): JSX.Element {
  const { cluster, state, announce } = usePage()
  const id = createUniqueId()
  let field!: HTMLInputElement
  const submit = (event: SubmitEvent) => {
    event.preventDefault()
    const name = field.value.trim()
    if (name === '') return
    cluster.rename(name)
    announce(`This device is now called ${name}.`)
  }
  return (
    <form class="field" onSubmit={submit}>
      <label for={id}>Name of this device</label>
      <div class="settings-row">
        <input
          ref={(created) => (field = created)}
          id={id}
          class="text-field"
          dir="auto"
          maxlength="64"
          required
          value={state.name}
        />
        <button type="submit" class="button">
          Rename
        </button>
      </div>
    </form>
  )
}

function Room(props: { onLeft: () => void }): JSX.Element {
  const { cluster } = usePage()
  return (
    <section aria-labelledby="room-title">
      <h3 id="room-title">This room</h3>
      <p class="muted small">A new room has a new link; the devices of this one stay where they are.</p>
      <button
        type="button"
        class="button"
        onClick={() => {
          props.onLeft()
          void cluster.newRoom()
        }}
      >
        New room
      </button>
    </section>
  )
}
