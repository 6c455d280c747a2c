import { Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { CopyButton } from '../ui/copy-button.tsx'
import { Icon } from '../ui/icon.tsx'
import { QrCode } from '../ui/qr-code.tsx'
import './join.css'

/** How others get in. */
export function Join(): JSX.Element {
  const { state } = usePage()
  return (
    <section class="card join" aria-labelledby="join-title">
      <h2 id="join-title">Bring a device</h2>
      <Show when={state.joinLink} fallback={<p class="muted">The room is being made…</p>}>
        {(link) => (
          <>
            <p>Point its camera at the code, or open the link. Whoever has the link may come in.</p>
            <QrCode text={link()} label="QR code of the link into this room" />
            <a class="join-link small" data-testid="join-link" href={link()} dir="ltr">
              {link()}
            </a>
            <div class="join-ways">
              <CopyButton text={link()} name="Copy link" showName />
              <Show when={'share' in navigator}>
                <button type="button" class="button" onClick={() => share(link())}>
                  <Icon name="share" />
                  <span>Share</span>
                </button>
              </Show>
            </div>
            <Show when={state.joinReach === 'everybody-warned'}>
              <p class="muted small">
                Its browser will warn once that it does not know this house’s certificate: choose “Advanced”
                and go on. Nobody outside can vouch for an address at home.
              </p>
            </Show>
            <Show when={state.joinReach === 'this-machine'}>
              <p class="notice small">
                This link says “{new URL(link()).hostname}” and works on this machine only, as it is part of
                no network that others could reach it by.
              </p>
            </Show>
          </>
        )}
      </Show>
    </section>
  )
}

/** A share that the person called off is no error. */
const share = (url: string) => void navigator.share({ title: 'Hearth', url }).catch(() => {})
