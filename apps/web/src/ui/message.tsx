import { Match, Show, Switch, type JSX } from 'solid-js'
import type { GenerateStats } from '../cluster.ts'
import { isRunning, type Turn } from '../conversation.ts'
import { countInWords, msDigits, statsInWords } from '../words.ts'
import { CopyButton } from './copy-button.tsx'
import { Flame } from './flame.tsx'
import { Icon } from './icon.tsx'
import { MarkdownText } from './markdown-text.tsx'
import { Problem } from './problem.tsx'
import './message.css'

/** A question and its answer. `onRegenerate` is there for the last one, when nothing is running. */
export function Message(props: { turn: Turn; onRegenerate: (() => void) | null }): JSX.Element {
  const status = () => props.turn.status
  return (
    <>
      <article class="question" aria-label="You">
        <p dir="auto">{props.turn.question}</p>
      </article>
      <article
        class="answer"
        aria-label="Hearth"
        aria-busy={dataState(props.turn) === 'streaming'}
        data-testid="answer"
        data-state={dataState(props.turn)}
      >
        <Flame />
        <div class="answer-body">
          <Show when={props.turn.answer !== ''}>
            <MarkdownText text={props.turn.answer} growing={isRunning(props.turn)} />
          </Show>
          <Switch>
            <Match when={status().is === 'queued'}>
              <p class="muted pending">{queueInWords(status())}</p>
            </Match>
            <Match when={pauseOf(status())}>{(sentence) => <p class="muted pending">{sentence()}</p>}</Match>
            <Match when={failureOf(status())}>
              {(sentence) => (
                <Problem
                  sentence={sentence()}
                  action={props.onRegenerate ? { name: 'Ask again', run: props.onRegenerate } : undefined}
                />
              )}
            </Match>
          </Switch>
          <footer class="small muted">
            <Show when={statsOf(status())}>
              {(stats) => <Stats text={props.turn.answer} stats={stats()} />}
            </Show>
            <Show when={status().is === 'stopped'}>
              <p>Stopped here.</p>
            </Show>
            <Show when={!isRunning(props.turn)}>
              <span class="answer-actions">
                <Show when={props.turn.answer !== ''}>
                  <CopyButton text={props.turn.answer} name="Copy answer" />
                </Show>
                <Show when={props.onRegenerate}>
                  {(regenerate) => (
                    <button
                      type="button"
                      class="button icon-only"
                      aria-label="Regenerate"
                      title="Regenerate"
                      onClick={() => regenerate()()}
                    >
                      <Icon name="again" />
                    </button>
                  )}
                </Show>
              </span>
            </Show>
          </footer>
        </div>
      </article>
    </>
  )
}

function Stats(props: { text: string; stats: GenerateStats }): JSX.Element {
  const words = () => statsInWords(props.text, props.stats)
  const stats = () => props.stats
  return (
    <p
      data-testid="answer-stats"
      data-ttft-ms={stats().ttftMs}
      data-tpot-ms={stats().tpotMs}
      data-trip-ms={stats().tripMs}
      data-prompt-tokens={stats().promptTokens}
      data-output-tokens={stats().outputTokens}
      title={
        `${countInWords(stats().promptTokens, 'token', 'tokens')} read (${stats().cachedTokens} known already), ` +
        `${stats().outputTokens} written. TTFT: time to the first token. TPOT: mean time of each one after it.`
      }
    >
      {words().first}
      {words().pace === null ? '' : ` · ${words().pace}`}
      {' · '}
      <span class="figures">
        TTFT {msDigits(stats().ttftMs)} ms · TPOT {msDigits(stats().tpotMs)} ms
      </span>
      <Show when={stats().stop === 'length'}> · cut short at {stats().outputTokens} tokens</Show>
      <Show when={stats().stop === 'aborted'}> · stopped</Show>
    </p>
  )
}

/** What tests and style sheets tell answers apart by. */
function dataState(turn: Turn): 'streaming' | 'done' | 'failed' {
  if (isRunning(turn)) return 'streaming'
  return turn.status.is === 'failed' ? 'failed' : 'done'
}

const statsOf = (status: Turn['status']) => (status.is === 'done' ? status.stats : null)
const pauseOf = (status: Turn['status']) => (status.is === 'paused' ? status.message : null)
const failureOf = (status: Turn['status']) => (status.is === 'failed' ? status.message : null)

function queueInWords(status: Turn['status']): string {
  if (status.is !== 'queued' || status.ahead === null) return 'Asking…'
  return status.ahead === 0
    ? 'Thinking…'
    : `${countInWords(status.ahead, 'answer', 'answers')} ahead of yours`
}
