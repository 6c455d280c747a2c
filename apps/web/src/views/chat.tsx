import { createEffect, createSignal, Index, on, onCleanup, onMount, Show, type JSX } from 'solid-js'
import { usePage } from '../page.ts'
import { readinessInWords } from '../readiness.ts'
import { suggestionsFor } from '../suggestions.ts'
import { Composer } from '../ui/composer.tsx'
import { Flame } from '../ui/flame.tsx'
import { Icon } from '../ui/icon.tsx'
import { Message } from '../ui/message.tsx'
import './chat.css'

/** The conversation. Every device has its own; which one answers is the plan's business. */
export function Chat(): JSX.Element {
  const { state, chat, announce } = usePage()
  let focusComposer = () => {}
  const scroll = createScroll()

  const waitsFor = () => (state.readiness.phase === 'ready' ? null : readinessInWords(state).sentence)
  const ask = (question: string) => {
    scroll.toEnd()
    void chat.ask(question)
  }
  const regenerate = () => {
    scroll.toEnd()
    void chat.regenerate()
  }
  // Token by token would be chatter: a listener hears that it began, and then the whole answer.
  createEffect(
    on(
      chat.busy,
      (busy) => {
        const last = chat.turns().at(-1)
        if (busy) announce('Hearth is answering.')
        else if (last?.status.is === 'done' || last?.status.is === 'stopped') announce(last.answer)
      },
      { defer: true },
    ),
  )
  return (
    <main class="chat" aria-labelledby="chat-title">
      <header class="chat-head">
        <h2 id="chat-title">Chat</h2>
        <Show when={chat.turns().length > 0}>
          <button
            type="button"
            class="button quiet"
            onClick={() => {
              chat.startOver()
              focusComposer()
            }}
          >
            <Icon name="compose" />
            <span>New chat</span>
          </button>
        </Show>
      </header>
      <div class="chat-scroll" ref={scroll.frame} tabindex="0" role="region" aria-label="Conversation">
        <div class="chat-log" ref={scroll.content}>
          <Index each={chat.turns()} fallback={<Welcome onPick={ask} />}>
            {(turn, index) => (
              <Message
                turn={turn()}
                onRegenerate={
                  index === chat.turns().length - 1 && !chat.busy() && waitsFor() === null ? regenerate : null
                }
              />
            )}
          </Index>
        </div>
      </div>
      <div class="chat-foot">
        <Show when={!scroll.atEnd()}>
          <button
            type="button"
            class="button to-end"
            onClick={scroll.toEnd}
            aria-label="Go to the newest words"
          >
            <Icon name="down" />
          </button>
        </Show>
        <Composer
          mayAsk={waitsFor() === null}
          // An empty chat says it in its middle.
          hint={chat.turns().length > 0 ? (waitsFor() ?? '') : ''}
          busy={chat.busy()}
          onSend={ask}
          onStop={chat.stop}
          focusRef={(focus) => (focusComposer = focus)}
        />
      </div>
    </main>
  )
}

function Welcome(props: { onPick: (question: string) => void }): JSX.Element {
  const { state } = usePage()
  const isReady = () => state.readiness.phase === 'ready'
  const words = () => readinessInWords(state)
  return (
    <div class="welcome" classList={{ cold: !isReady() }}>
      <Flame />
      <h3>{words().title}</h3>
      <p class="muted">{isReady() ? 'Your words stay on the devices of this room.' : words().sentence}</p>
      <Show when={isReady()}>
        <ul class="plain suggestions" aria-label="Suggestions">
          <Index each={suggestionsFor(state.room?.choice?.model.url)}>
            {(question) => (
              <li>
                <button type="button" class="button" onClick={() => props.onPick(question())}>
                  {question()}
                </button>
              </li>
            )}
          </Index>
        </ul>
      </Show>
    </div>
  )
}

/** Follows the newest words while the reader is at the end, and leaves a reader who went back in peace. */
function createScroll() {
  const [frame, setFrame] = createSignal<HTMLElement>()
  const [content, setContent] = createSignal<HTMLElement>()
  const [atEnd, setAtEnd] = createSignal(true)
  const toEnd = () => {
    setAtEnd(true)
    frame()?.scrollTo({ top: frame()!.scrollHeight })
  }
  onMount(() => {
    const element = frame()!
    let lastTop = 0
    const onScroll = () => {
      // Half a line of slack: zoom makes fractions.
      const isEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 12
      // Only going back leaves the end. Growth alone looks the same, as this comes after words that came meanwhile.
      if (isEnd) setAtEnd(true)
      else if (element.scrollTop < lastTop) setAtEnd(false)
      lastTop = element.scrollTop
    }
    const observer = new ResizeObserver(() => {
      if (atEnd()) toEnd()
    })
    observer.observe(element)
    observer.observe(content()!)
    element.addEventListener('scroll', onScroll, { passive: true })
    onCleanup(() => {
      observer.disconnect()
      element.removeEventListener('scroll', onScroll)
    })
  })
  return { frame: setFrame, content: setContent, atEnd, toEnd }
}
