/**
 * A conversation as the model was trained to read it: its own template, by `@huggingface/jinja`, then tokens.
 *
 * The template's words may contain special tokens; a person's may not, whatever they look like. So the template is
 * rendered a second time with marks in place of the messages, to tell its words from theirs.
 *
 * @module
 */
import { Template } from '@huggingface/jinja'
import { EngineError } from '../errors.ts'
import type { ChatMessage } from '../protocol.ts'
import { answerInCache } from './cached-answer.ts'
import type { TextPart } from './special-tokens.ts'
import type { Tokenizer } from './tokenizer.ts'

export interface ChatTemplate {
  /** The conversation as text, ready for the answer. @throws EngineError 'unsupported-model' when the template refuses it */
  render(messages: readonly ChatMessage[]): string
  /**
   * The conversation as tokens, ready for the answer.
   *
   * @param cached what a session's KV cache holds. Answers found there keep the tokens they were generated with, which
   *   encoding their text again would not always give; so the next turn begins with all of the last one.
   * @throws EngineError as {@link render}
   */
  encodeChat(messages: readonly ChatMessage[], cached?: readonly number[]): number[]
}

/** For models that bring no template: ChatML. */
const chatMl =
  "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

/** @throws EngineError 'unsupported-model' when the model's template is not one */
export function createChatTemplate(
  { metadata }: { metadata: Readonly<Record<string, unknown>> },
  tokenizer: Tokenizer,
): ChatTemplate {
  const given = metadata['tokenizer.chat_template']
  const source = typeof given === 'string' && given.trim() !== '' ? given : chatMl
  const template = attempt('read', () => new Template(source))
  const bosText = tokenizer.bos === null ? '' : tokenizer.textOf(tokenizer.bos)
  const eosText = tokenizer.eos === null ? '' : tokenizer.textOf(tokenizer.eos)

  const render: ChatTemplate['render'] = (messages) =>
    attempt('write this conversation', () =>
      template.render({
        // copies: a template may set fields
        messages: messages.map(({ role, content }) => ({ role, content })),
        add_generation_prompt: true,
        bos_token: bosText,
        eos_token: eosText,
      }),
    )

  return {
    render,
    encodeChat(messages, cached = []) {
      const text = render(messages)
      const parts = partsOf(text, messages, render, () => true) ??
        // many templates cut an answer's thoughts; what the model wrote is the model's own
        partsOf(text, messages, render, ({ role }) => role !== 'assistant') ?? [
          { text, special: true, answer: false },
        ]
      // a template that writes BOS itself takes the tokenizer's place
      const hasBos = bosText !== '' && text.startsWith(bosText)
      return encodeWithCache(parts, hasBos ? { addBos: false } : {}, cached, tokenizer)
    },
  }
}

type ChatPart = TextPart & { answer: boolean }

/**
 * Tells the template's words from the messages'.
 *
 * @returns null when the template does more with a message than to trim it, so that the parts are not `text`
 */
function partsOf(
  text: string,
  messages: readonly ChatMessage[],
  render: ChatTemplate['render'],
  isMarked: (message: ChatMessage) => boolean,
): ChatPart[] | null {
  const mark = unusedMark(messages)
  const marked = render(
    messages.map((message, i) =>
      isMarked(message) ? { ...message, content: `${mark}${i}${mark}` } : message,
    ),
  )
  // template's words and numbers of messages, in turn
  const pieces = marked.split(mark)
  const parts: ChatPart[] = []
  let at = 0
  for (const [i, piece] of pieces.entries()) {
    if (i % 2 === 0) {
      if (!text.startsWith(piece, at)) return null
      parts.push({ text: piece, special: true, answer: false })
      at += piece.length
      continue
    }
    const message = messages[Number(piece)]
    if (!message) return null
    const { content, role } = message
    const next = pieces[i + 1] ?? ''
    const written = [content, content.trim(), content.trimStart(), content.trimEnd()].find((candidate) =>
      text.startsWith(candidate + next, at),
    )
    if (written === undefined) return null
    parts.push({ text: written, special: false, answer: role === 'assistant' })
    at += written.length
  }
  return at === text.length ? parts : null
}

/** Private-use characters that no message contains. */
function unusedMark(messages: readonly ChatMessage[]): string {
  let mark = '\uE000'
  while (messages.some(({ content }) => content.includes(mark))) mark += '\uE001'
  return mark
}

/** Encodes the parts, taking answers from the cache as long as everything before them is there too. */
function encodeWithCache(
  parts: readonly ChatPart[],
  options: { addBos?: boolean },
  cached: readonly number[],
  tokenizer: Tokenizer,
): number[] {
  const ids: number[] = []
  let waiting: TextPart[] = []
  let isCached = cached.length > 0
  const encodeWaiting = () => tokenizer.encodeParts(waiting, ids.length > 0 ? { continues: true } : options)

  for (const part of parts) {
    if (part.answer && isCached) {
      const before = encodeWaiting()
      const answer = before.every((id, i) => id === cached[ids.length + i])
        ? answerInCache(part.text, cached, ids.length + before.length, tokenizer)
        : null
      isCached = answer !== null
      if (answer) {
        ids.push(...before, ...answer.ids)
        waiting = [{ text: answer.rest, special: false }]
        continue
      }
    }
    waiting.push(part)
  }
  return [...ids, ...encodeWaiting()]
}

function attempt<T>(what: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new EngineError(
      'unsupported-model',
      `Hearth cannot ${what} with the model's chat template: ${reason.slice(0, 200)}. ` +
        'Start a new chat, or choose another version of the model.',
      { cause },
    )
  }
}
