import type { JSX } from 'solid-js'
import { CopyButton } from './copy-button.tsx'

export function CodeBlock(props: { language: string; text: string }): JSX.Element {
  return (
    <figure class="code-block">
      <figcaption>
        <span>{props.language || 'text'}</span>
        <CopyButton text={props.text} name="Copy code" />
      </figcaption>
      {/* Wide code scrolls, so it must be reachable by keyboard. */}
      <pre tabindex="0" aria-label={props.language ? `Code, ${props.language}` : 'Code'} role="region">
        <code>{props.text}</code>
      </pre>
    </figure>
  )
}
