/**
 * The text side of a model, from its header: conversation to tokens, tokens to text.
 *
 * @module
 */
import type { GgufHeader } from '../gguf/header.ts'
import { createChatTemplate } from '../model/chat-template.ts'
import { createTokenizer } from '../model/tokenizer.ts'
import type { Speech } from './chat-service.ts'

/** @throws EngineError 'unsupported-model' when the tokenizer or the template is none that Hearth knows */
export function createSpeech(header: GgufHeader): Speech {
  const tokenizer = createTokenizer(header)
  const { isEnd, createDecoder } = tokenizer
  return { encodeChat: createChatTemplate(header, tokenizer).encodeChat, isEnd, createDecoder }
}
