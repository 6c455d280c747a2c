import { createEffect, type JSX, type ParentProps } from 'solid-js'
import { Icon } from './icon.tsx'
import './dialog.css'

/** The platform's modal: it keeps the focus inside, closes on Escape, and gives the focus back. */
export function Dialog(
  props: ParentProps<{ title: string; open: boolean; onClose: () => void }>,
): JSX.Element {
  let element!: HTMLDialogElement
  createEffect(() => {
    if (props.open && !element.open) element.showModal()
    if (!props.open && element.open) element.close()
  })
  return (
    <dialog
      ref={(created) => (element = created)}
      class="dialog"
      aria-labelledby="dialog-title"
      onClose={() => props.onClose()}
      // A press on the backdrop has the dialog itself as its target.
      onPointerDown={(event) => event.target === element && element.close()}
    >
      <div class="dialog-body">
        <header>
          <h2 id="dialog-title">{props.title}</h2>
          <button type="button" class="button icon-only" aria-label="Close" onClick={() => element.close()}>
            <Icon name="close" />
          </button>
        </header>
        {props.children}
      </div>
    </dialog>
  )
}
