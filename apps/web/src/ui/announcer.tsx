import { createSignal, type JSX } from 'solid-js'

export type Announcer = ReturnType<typeof createAnnouncer>

/** One polite live region for the whole page, so that two parts of it never talk at once. */
export function createAnnouncer() {
  const [sentence, setSentence] = createSignal('')
  return {
    announce: setSentence,
    Region: (): JSX.Element => (
      <p class="visually-hidden" role="status" data-testid="announcement">
        {sentence()}
      </p>
    ),
  }
}
