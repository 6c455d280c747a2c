/**
 * A byte-level BPE vocabulary of any size, for models that have learned nothing: 256 bytes, a few merges, ChatML's
 * control tokens, fillers.
 *
 * @module
 */
import { byteToChar } from '../model/byte-alphabet.ts'
import { tokenKind } from '../model/vocabulary.ts'
import type { MetadataValue } from './gguf-writer.ts'

/** In the order of their ids, 256 and up: each joins two earlier tokens. */
const merges = ['h e', 't he', 'Ġ the', 'i n', 'Ġ a', 'o u', 'e r', 'Ġ t']
const endOfText = '<|endoftext|>'
const startOfTurn = '<|im_start|>'
const endOfTurn = '<|im_end|>'

/** Keys `tokenizer.*` of a GGUF file. @param size at least 267, the tokens that are not fillers */
export function byteVocabulary(size: number): Record<string, MetadataValue> {
  const words = [...byteToChar, ...merges.map((merge) => merge.replace(' ', ''))]
  const control = [endOfText, startOfTurn, endOfTurn]
  const fillers = Array.from({ length: size - words.length - control.length }, (_, i) => `[PAD${i}]`)
  return {
    'tokenizer.ggml.model': 'gpt2',
    'tokenizer.ggml.pre': 'qwen2',
    'tokenizer.ggml.tokens': [...words, ...control, ...fillers],
    'tokenizer.ggml.token_type': [
      ...words.map(() => tokenKind.normal),
      ...control.map(() => tokenKind.control),
      // With text of their own: what a model says that has learned nothing is compared by its text.
      ...fillers.map(() => tokenKind.normal),
    ],
    'tokenizer.ggml.merges': merges,
    'tokenizer.ggml.bos_token_id': words.length,
    'tokenizer.ggml.eos_token_id': words.length + 2,
    'tokenizer.ggml.add_bos_token': false,
    'tokenizer.chat_template':
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
      "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  }
}
