import {
  createEffect,
  createMemo,
  createSignal,
  Index,
  Match,
  on,
  onCleanup,
  Switch,
  type JSX,
} from 'solid-js'
import { createMarkdown, type Block } from '../markdown.ts'
import { CodeBlock } from './code-block.tsx'
import './markdown-text.css'

const blocksOf = createMarkdown(window)

/** While a text grows. Parsing and painting for each token of a fast model takes the processor from that model. */
const drawEveryMs = 50

/** Markdown that may still grow: only the blocks that changed are drawn again. */
export function MarkdownText(props: { text: string; growing: boolean }): JSX.Element {
  const known = new Map<string, Block>()
  const paced = createPaced(() => props.text, drawEveryMs)
  const blocks = createMemo(() => blocksOf(props.growing ? paced() : props.text, known))
  return (
    <div class="markdown" dir="auto">
      <Index each={blocks()}>
        {(block) => {
          // Equal text is no change, so finished blocks keep their elements and a reader's selection.
          const html = createMemo(() => blockHtml(block()))
          return (
            <Switch>
              <Match when={codeOf(block())}>
                {(code) => <CodeBlock language={code().language} text={code().text} />}
              </Match>
              <Match when={html() !== null}>
                <div dir="auto" innerHTML={html() ?? ''} />
              </Match>
            </Switch>
          )
        }}
      </Index>
    </div>
  )
}

/** `source` as of at most `everyMs` ago. */
function createPaced(source: () => string, everyMs: number): () => string {
  const [paced, setPaced] = createSignal(source())
  let timer: ReturnType<typeof setTimeout> | undefined
  const take = () => {
    timer = undefined
    setPaced(source())
  }
  createEffect(on(source, () => (timer ??= setTimeout(take, everyMs)), { defer: true }))
  onCleanup(() => clearTimeout(timer))
  return paced
}

const blockHtml = (block: Block) => (block.is === 'html' ? block.html : null)
const codeOf = (block: Block) => (block.is === 'code' ? block : null)
