import { createMemo, Index, Match, Switch, type JSX } from 'solid-js'
import { createMarkdown, type Block } from '../markdown.ts'
import { CodeBlock } from './code-block.tsx'
import './markdown-text.css'

const blocksOf = createMarkdown(window)

/** Markdown that may still grow: only the blocks that changed are drawn again. */
export function MarkdownText(props: { text: string }): JSX.Element {
  const known = new Map<string, Block>()
  const blocks = createMemo(() => blocksOf(props.text, known))
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

const blockHtml = (block: Block) => (block.is === 'html' ? block.html : null)
const codeOf = (block: Block) => (block.is === 'code' ? block : null)
