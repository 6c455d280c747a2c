/**
 * The text side of a model, from its header: conversation to tokens, tokens to text.
 *
 * @module
 */
import type { GgufHeader } from '../gguf/header.ts'
import { createChatTemplate } from '../model/chat-template.ts'
import { createTokenizer } from '../model/tokenizer.ts'
import type { ChatMessage } from '../protocol.ts'

/** The text side of a model. */
export type Speech = {
  /** The conversation in the model's own template, ready for the answer; `cached` answers keep their tokens. */
  encodeChat(messages: readonly ChatMessage[], cached: readonly number[]): number[]
  /** Token ids are below this. */
  vocabSize: number
  isEnd(token: number): boolean
  /** Turns ids into text without splitting a character. */
  createDecoder(): { push(token: number): string; flush(): string }
}

/** @throws EngineError 'unsupported-model' when the tokenizer or the template is none that Hearth knows */
export function createSpeech(header: GgufHeader): Speech {
  const tokenizer = createTokenizer(header)
  const { vocabSize, isEnd, createDecoder } = tokenizer
  return { encodeChat: createChatTemplate(header, tokenizer).encodeChat, vocabSize, isEnd, createDecoder }
}
