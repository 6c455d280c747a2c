import { createSignal, onCleanup, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { Icon } from './icon.tsx'

/** Copies text, and says whether it did: the clipboard wants a secure context and a willing browser. */
export function CopyButton(props: { text: string; name: string; showName?: boolean }): JSX.Element {
  const { announce } = usePage()
  const [copied, setCopied] = createSignal(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  onCleanup(() => clearTimeout(timer))

  async function copy() {
    try {
      await navigator.clipboard.writeText(props.text)
      setCopied(true)
      announce('Copied.')
      clearTimeout(timer)
      timer = setTimeout(() => setCopied(false), 2000)
    } catch {
      announce('This browser does not let the page copy; select the text and copy it yourself.')
    }
  }

  return (
    <button
      type="button"
      class={props.showName ? 'button' : 'button icon-only'}
      aria-label={props.showName ? undefined : props.name}
      title={props.showName ? undefined : props.name}
      onClick={() => void copy()}
    >
      <Icon name={copied() ? 'check' : 'copy'} />
      {props.showName ? <span>{copied() ? 'Copied' : props.name}</span> : null}
    </button>
  )
}
